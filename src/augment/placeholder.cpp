#include "augment/image.h"

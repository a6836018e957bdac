#pragma once

#include "../fwd.h"

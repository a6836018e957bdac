#include "augment/io/jpeg.h"

#include <jerror.h>
#include <jpeglib.h>

#include <csetjmp>
#include <cstdio>

#include "augment/io/cmyk.h"
#include "augment/io/limits.h"
#include "error.h"

namespace previt {
namespace {

constexpr int kMostScans =
    200;  // a progressive file of a few hundred bytes can ask for hours of work

}  // namespace

struct JpegDecoder::State {
  jpeg_decompress_struct codec;
  jpeg_error_mgr errors;
  jpeg_progress_mgr progress;
  jmp_buf on_error;
  char message[JMSG_LENGTH_MAX];
  bool cut_short = false;

  Bytes file;
  bool header_read = false;
  std::vector<uint8_t> row;

  static State& of(j_common_ptr codec) { return *static_cast<State*>(codec->client_data); }
  static void exit(j_common_ptr codec);
  static void warn(j_common_ptr codec, int level);
  static void limit_scans(j_common_ptr codec);

  /// Runs calls of libjpeg, which leaves by longjmp when an error occurs: `calls` must own nothing.
  template <class Calls>
  void guarded(const Calls& calls) {
    if (setjmp(on_error) != 0) {
      jpeg_abort_decompress(&codec);
      header_read = false;
      fail("{}", message);
    }
    calls();
  }

  void read_header();
  void start(int64_t reduction);
  void crop_columns(int64_t left, int64_t right);
  void read_rows(Image& pixels);
};

void JpegDecoder::State::exit(j_common_ptr codec) {
  auto& state = of(codec);
  codec->err->format_message(codec, state.message);
  longjmp(state.on_error, 1);
}

void JpegDecoder::State::warn(j_common_ptr codec, int level) {
  if (level < 0 && codec->err->msg_code == JWRN_JPEG_EOF) of(codec).cut_short = true;
}

void JpegDecoder::State::limit_scans(j_common_ptr codec) {
  auto& state = of(codec);
  if (state.codec.input_scan_number <= kMostScans) return;
  std::snprintf(state.message, sizeof state.message, "more than %d scans", kMostScans);
  longjmp(state.on_error, 1);
}

void JpegDecoder::State::read_header() {
  cut_short = false;
  guarded([&] {
    jpeg_abort_decompress(&codec);
    jpeg_mem_src(&codec, file.data, file.size);
    jpeg_read_header(&codec, TRUE);
  });
  header_read = true;
}

void JpegDecoder::State::start(int64_t reduction) {
  codec.scale_num = 1;
  codec.scale_denom = static_cast<unsigned>(reduction);
  const bool inks = codec.num_components == 4;
  codec.out_color_space = inks ? JCS_CMYK : JCS_RGB;
  codec.dct_method = JDCT_ISLOW;
  guarded([&] { jpeg_start_decompress(&codec); });
}

/// Narrows the rows to at least columns [left, right). The codec widens that to whole blocks and
/// says in output_width what it made of it.
void JpegDecoder::State::crop_columns(int64_t left, int64_t right) {
  JDIMENSION offset = static_cast<JDIMENSION>(left);
  JDIMENSION width = static_cast<JDIMENSION>(right - left);
  guarded([&] { jpeg_crop_scanline(&codec, &offset, &width); });
}

void JpegDecoder::State::read_rows(Image& pixels) {
  const bool inks = codec.out_color_space == JCS_CMYK;
  row.resize(static_cast<size_t>(4 * pixels.width));
  guarded([&] {
    for (int64_t y = 0; y < pixels.height; ++y) {
      JSAMPROW target = inks ? row.data() : pixels.row(y);
      jpeg_read_scanlines(&codec, &target, 1);
      if (inks) rgb_of_cmyk(target, pixels.row(y), pixels.width);
    }
    jpeg_abort_decompress(&codec);
  });
}

JpegDecoder::JpegDecoder() : state_(std::make_unique<State>()) {
  auto& s = *state_;
  s.codec.err = jpeg_std_error(&s.errors);
  s.errors.error_exit = State::exit;
  s.errors.emit_message = State::warn;
  s.codec.client_data = &s;
  s.guarded([&] { jpeg_create_decompress(&s.codec); });
  s.progress.progress_monitor = State::limit_scans;
  s.codec.progress = &s.progress;
}

JpegDecoder::~JpegDecoder() { jpeg_destroy_decompress(&state_->codec); }

ImageSize JpegDecoder::open(Bytes file) {
  state_->file = file;
  state_->read_header();
  const ImageSize size = {state_->codec.image_height, state_->codec.image_width};
  check_size(size);
  return size;
}

void JpegDecoder::decode(const Box& box, int64_t reduction, Region& region) {
  auto& s = *state_;
  if (!s.header_read) s.read_header();
  s.header_read = false;  // this pass uses it up
  s.start(reduction);

  const auto up = [&](int64_t x) { return (x + reduction - 1) / reduction; };
  const int64_t full_width = s.codec.output_width, full_height = s.codec.output_height;
  const int64_t top = box.top / reduction;
  const int64_t bottom = std::min(up(box.top + box.height), full_height);
  // Smooth upsampling reads the neighbouring chroma, which columns that are cut off no longer have.
  constexpr int64_t kMargin = 8;
  const int64_t left = std::max<int64_t>(0, box.left / reduction - kMargin);
  const int64_t right = std::min(up(box.left + box.width) + kMargin, full_width);

  int64_t first_column = 0;
  if (left > 0 || right < full_width) {
    s.crop_columns(left, right);
    first_column = right - s.codec.output_width;  // the left edge moves to that of a block
  }
  if (top > 0) s.guarded([&] { jpeg_skip_scanlines(&s.codec, static_cast<JDIMENSION>(top)); });

  auto& pixels = region.pixels;
  pixels.height = bottom - top;
  pixels.width = s.codec.output_width;
  pixels.channels = 3;
  pixels.pixels.resize(static_cast<size_t>(pixels.height * pixels.width * 3));
  s.read_rows(pixels);
  require(!s.cut_short, "the file is cut short");
  region.box = {top * reduction,
                first_column * reduction,
                pixels.height * reduction,
                pixels.width * reduction};
}

}  // namespace previt

// Convolutions by oneDNN as an XLA FFI handler: three kinds of one trilinear form.
//
// Activations are NHWC, kernels HWIO (with one, two or three spatial axes), all of float32. The
// kernel, which is small, is reordered to what oneDNN wants; activations are used where they lie.
// The batch is cut into slices that XLA's own threads compute with a sequential oneDNN; partial
// kernel gradients are added in the order of the slices, so equal calls return equal bits.

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <map>
#include <memory>
#include <mutex>
#include <new>
#include <shared_mutex>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "oneapi/dnnl/dnnl.hpp"
#include "xla/ffi/api/ffi.h"

extern "C" int omp_get_max_threads(void);
extern "C" void omp_set_num_threads(int);

namespace {

namespace ffi = xla::ffi;
using dnnl::memory;
using Dims = std::vector<int64_t>;
using Floats = ffi::AnyBuffer;

enum Kind { kOutput, kInput, kKernel };

// oneDNN takes its number of threads from OpenMP's setting for the calling thread. That is left
// as it was: the thread may be the user's.
struct OneOpenMPThread {
  int before = omp_get_max_threads();
  OneOpenMPThread() { omp_set_num_threads(1); }
  ~OneOpenMPThread() { omp_set_num_threads(before); }
};

const dnnl::engine& Engine() {
  static const dnnl::engine engine(dnnl::engine::kind::cpu, 0);
  return engine;
}

dnnl::stream& Stream() {
  thread_local dnnl::stream stream(Engine());
  return stream;
}

// Memory that a thread keeps for its next call, unless it is large.
class Workspace {
 public:
  ~Workspace() { std::free(data_); }
  void* Get(size_t bytes) {
    if (bytes > size_) {
      std::free(data_);
      size_ = (bytes + 63) / 64 * 64;
      data_ = std::aligned_alloc(64, size_);
      if (!data_) size_ = 0, throw std::bad_alloc();
    }
    return data_;
  }
  void Trim() {
    if (size_ > size_t{1} << 26) std::free(data_), data_ = nullptr, size_ = 0;
  }

 private:
  void* data_ = nullptr;
  size_t size_ = 0;
};

// What is computed: attributes and the shapes of all three arrays, checked against each other.
struct Problem {
  Kind kind;
  int64_t batch, channels, filters, groups;
  Dims x, window, y, strides, dilation, before, after;  // along the spatial axes

  Problem(const int64_t* g, size_t size, const Dims& xs, const Dims& ws, const Dims& ys) {
    const size_t rank = xs.size(), n = rank - 2;
    Check(rank >= 3 && rank <= 5 && ws.size() == rank && ys.size() == rank, "ranks");
    Check(size == 2 + 4 * n && g[0] >= 0 && g[0] <= 2 && g[1] > 0, "attributes");
    kind = static_cast<Kind>(g[0]), groups = g[1];
    auto axes = [&](int i) { return Dims(g + 2 + i * n, g + 2 + (i + 1) * n); };
    strides = axes(0), dilation = axes(1), before = axes(2), after = axes(3);
    batch = xs[0], channels = xs[rank - 1], filters = ys[rank - 1];
    x.assign(xs.begin() + 1, xs.end() - 1), y.assign(ys.begin() + 1, ys.end() - 1);
    window.assign(ws.begin(), ws.end() - 2);
    Check(ys[0] == batch && ws[n] * groups == channels && ws[n + 1] == filters, "channels");
    Check(filters % groups == 0, "groups");
    for (size_t i = 0; i < n; ++i) {
      Check(strides[i] > 0 && dilation[i] > 0 && window[i] >= 0, "strides or dilation");
      const int64_t room = x[i] + before[i] + after[i] - (window[i] - 1) * dilation[i] - 1;
      Check(y[i] == (room < 0 ? 0 : room / strides[i] + 1), "spatial sizes");
    }
  }

  static void Check(bool right, const char* what) {
    if (!right) throw std::invalid_argument(std::string("convolution: wrong ") + what);
  }
  static int64_t Size(const Dims& dims) {
    int64_t size = 1;
    for (int64_t n : dims) size *= n;
    return size;
  }
  int64_t OfX() const { return Size(x) * channels; }  // floats in one image
  int64_t OfY() const { return Size(y) * filters; }
  int64_t OfKernel() const { return Size(window) * (channels / groups) * filters; }
  double Work(int64_t images) const {  // multiplications; what is read counts as some
    const double each = double(OfY()) * Size(window) * (channels / groups);
    return images * std::max(each, 8.0 * (OfX() + OfY()));
  }

  memory::desc Activations(int64_t images, int64_t depth, const Dims& sizes) const {
    Dims dims{images, depth};
    dims.insert(dims.end(), sizes.begin(), sizes.end());
    const auto tag = sizes.size() == 1   ? memory::format_tag::nwc
                     : sizes.size() == 2 ? memory::format_tag::nhwc
                                         : memory::format_tag::ndhwc;
    return {dims, memory::data_type::f32, tag};
  }
  memory::desc Kernel(bool plain) const {
    const int64_t inner = channels / groups, outer = filters / groups;
    Dims dims{outer, inner}, steps{1, filters};
    if (groups > 1) dims.insert(dims.begin(), groups), steps.insert(steps.begin(), outer);
    const size_t first = dims.size();
    dims.insert(dims.end(), window.begin(), window.end());
    if (!plain) return {dims, memory::data_type::f32, memory::format_tag::any};
    steps.resize(dims.size());
    int64_t step = inner * filters;
    for (size_t i = dims.size(); i-- > first; step *= dims[i]) steps[i] = step;
    return {dims, memory::data_type::f32, steps};
  }
};

// A primitive for so many images, and how its kernel lies in memory.
struct Compiled {
  dnnl::primitive primitive;
  memory::desc x, y, kernel, plain, scratch, reorder_scratch;
  dnnl::reorder reorder;  // of the kernel: from plain, or to it
  std::string name;
  bool Fast() const { return name.compare(0, 3, "ref") != 0; }
  bool Reorders() const { return kernel != plain; }
};

template <typename Primitive, typename Description>
void Keep(Compiled& c, const Description& d, const memory::desc& kernel) {
  c.primitive = Primitive(d);
  c.kernel = kernel, c.scratch = d.scratchpad_desc(), c.name = d.impl_info_str();
}

std::shared_ptr<Compiled> Compile(const Problem& p, int64_t images, bool plain) {
  auto c = std::make_shared<Compiled>();
  c->x = p.Activations(images, p.channels, p.x), c->y = p.Activations(images, p.filters, p.y);
  c->plain = p.Kernel(true);
  const memory::desc kernel = p.Kernel(plain);
  Dims dilation = p.dilation;
  for (int64_t& n : dilation) --n;  // oneDNN counts what is left out
  dnnl::primitive_attr attr;
  attr.set_scratchpad_mode(dnnl::scratchpad_mode::user);
  const auto direct = dnnl::algorithm::convolution_direct;
  const dnnl::convolution_forward::primitive_desc forward(
      Engine(), dnnl::prop_kind::forward_training, direct, c->x, kernel, c->y, p.strides, dilation,
      p.before, p.after, attr);
  if (p.kind == kOutput) {
    Keep<dnnl::convolution_forward>(*c, forward, forward.weights_desc());
  } else if (p.kind == kInput) {
    const dnnl::convolution_backward_data::primitive_desc d(
        Engine(), direct, c->x, kernel, c->y, p.strides, dilation, p.before, p.after, forward,
        attr);
    Keep<dnnl::convolution_backward_data>(*c, d, d.weights_desc());
  } else {
    const dnnl::convolution_backward_weights::primitive_desc d(
        Engine(), direct, c->x, kernel, c->y, p.strides, dilation, p.before, p.after, forward,
        attr);
    Keep<dnnl::convolution_backward_weights>(*c, d, d.diff_weights_desc());
  }
  if (c->Reorders()) {
    const auto& from = p.kind == kKernel ? c->kernel : c->plain;
    const auto& to = p.kind == kKernel ? c->plain : c->kernel;
    const dnnl::reorder::primitive_desc d(Engine(), from, Engine(), to, attr);
    c->reorder = dnnl::reorder(d), c->reorder_scratch = d.scratchpad_desc();
  }
  return c;
}

// oneDNN's plain loops ("ref") are never worth it: a kernel in its own order is taken then.
std::shared_ptr<Compiled> Best(const Problem& p, int64_t images) {
  auto best = Compile(p, images, false);
  return best->Fast() ? best : Compile(p, images, true);
}

std::shared_ptr<Compiled> Cached(const Problem& p, int64_t images) {
  static std::shared_mutex mutex;
  static std::map<Dims, std::shared_ptr<Compiled>> cache;
  Dims key{p.kind, images, p.channels, p.filters, p.groups};
  for (const Dims* part : {&p.x, &p.window, &p.strides, &p.dilation, &p.before, &p.after})
    key.insert(key.end(), part->begin(), part->end());
  {
    std::shared_lock lock(mutex);
    const auto found = cache.find(key);
    if (found != cache.end()) return found->second;
  }
  auto made = Best(p, images);
  std::unique_lock lock(mutex);
  if (cache.size() >= 1024) cache.clear();  // those in use live on
  return cache.emplace(std::move(key), std::move(made)).first->second;
}

// Slices of a batch that several threads take one after the other.
struct Job {
  const Problem& problem;  // these are alive as long as slices are left to take
  const int64_t count;
  float *x, *kernel, *y, *partial;
  std::atomic<int64_t> next{0};
  int64_t left;
  std::string error;
  std::mutex mutex;
  std::condition_variable done;

  Job(const Problem& p, int64_t n, float* x, float* kernel, float* y, float* partial)
      : problem(p), count(n), x(x), kernel(kernel), y(y), partial(partial), left(n) {}

  int64_t First(int64_t i) const { return problem.batch * i / count; }

  void Slice(int64_t i) {
    thread_local Workspace scratch, blocked;
    const Problem& p = problem;
    const int64_t first = First(i), images = First(i + 1) - first;
    const auto c = Cached(p, images);
    const dnnl::engine& engine = Engine();
    float* of_kernel = p.kind != kKernel || i == 0 ? kernel : partial + (i - 1) * p.OfKernel();
    memory plain(c->plain, engine, of_kernel);
    memory own(c->kernel, engine, c->Reorders() ? blocked.Get(c->kernel.get_size()) : of_kernel);
    memory xs(c->x, engine, x + first * p.OfX()), ys(c->y, engine, y + first * p.OfY());
    const size_t reordering = c->Reorders() ? c->reorder_scratch.get_size() : 0;
    void* space = scratch.Get(std::max(c->scratch.get_size(), reordering));
    auto reorder = [&](memory& from, memory& to) {
      c->reorder.execute(Stream(), {{DNNL_ARG_FROM, from}, {DNNL_ARG_TO, to},
                                    {DNNL_ARG_SCRATCHPAD, {c->reorder_scratch, engine, space}}});
    };
    if (c->Reorders() && p.kind != kKernel) reorder(plain, own);
    const int of[3][3] = {{DNNL_ARG_SRC, DNNL_ARG_WEIGHTS, DNNL_ARG_DST},
                          {DNNL_ARG_DIFF_SRC, DNNL_ARG_WEIGHTS, DNNL_ARG_DIFF_DST},
                          {DNNL_ARG_SRC, DNNL_ARG_DIFF_WEIGHTS, DNNL_ARG_DIFF_DST}};
    const int* args = of[p.kind];
    c->primitive.execute(Stream(), {{args[0], xs}, {args[1], own}, {args[2], ys},
                                    {DNNL_ARG_SCRATCHPAD, {c->scratch, engine, space}}});
    if (c->Reorders() && p.kind == kKernel) reorder(own, plain);
    scratch.Trim(), blocked.Trim();
  }

  void Work() {
    OneOpenMPThread one;
    for (int64_t i = next++; i < count; i = next++) {
      std::string wrong;
      try {
        Slice(i);
      } catch (const std::exception& e) {
        wrong = e.what();
      }
      std::lock_guard lock(mutex);
      if (!wrong.empty()) error = wrong;
      if (--left == 0) done.notify_all();
    }
  }
};

// Multiplications of a slice that are worth another thread.
constexpr double kWorth = 1 << 20;
constexpr int64_t kMostPartials = int64_t{1} << 24;  // floats

int64_t Slices(const Problem& p, int64_t threads) {
  int64_t n = std::min({threads, p.batch, int64_t(p.Work(p.batch) / kWorth)});
  if (p.kind == kKernel) n = std::min(n, kMostPartials / p.OfKernel() + 1);
  return std::max<int64_t>(n, 1);
}

void Run(const Problem& p, ffi::ThreadPool& pool, float* x, float* kernel, float* y) {
  float* const results[] = {y, x, kernel};
  const int64_t sizes[] = {p.batch * p.OfY(), p.batch * p.OfX(), p.OfKernel()};
  if (p.batch == 0 || p.OfX() == 0 || p.OfY() == 0 || p.OfKernel() == 0) {
    std::memset(results[p.kind], 0, sizes[p.kind] * sizeof(float));
    return;
  }
  thread_local Workspace space;
  const int64_t count = Slices(p, pool.num_threads());
  float* partial = nullptr;
  if (p.kind == kKernel && count > 1)
    partial = static_cast<float*>(space.Get((count - 1) * sizes[2] * sizeof(float)));
  auto job = std::make_shared<Job>(p, count, x, kernel, y, partial);
  for (int64_t i = 1; i < count; ++i) pool.Schedule([job] { job->Work(); });
  job->Work();  // all of them, if no other thread is free: nothing waits for what has not begun
  {
    std::unique_lock lock(job->mutex);
    job->done.wait(lock, [&] { return job->left == 0; });
  }
  if (!job->error.empty()) throw std::runtime_error(job->error);
  for (int64_t i = 1; partial && i < count; ++i, partial += sizes[2])
    for (int64_t j = 0; j < sizes[2]; ++j) kernel[j] += partial[j];
  space.Trim();
}

Dims Shape(const Floats& b) { return Dims(b.dimensions().begin(), b.dimensions().end()); }

ffi::Error Handle(ffi::ThreadPool pool, Floats a, Floats b, ffi::Result<Floats> result,
                  ffi::Span<const int64_t> geometry) {
  try {
    const Floats& r = *result;
    for (const auto* f : {static_cast<const Floats*>(&a), static_cast<const Floats*>(&b), &r})
      Problem::Check(f->element_type() == ffi::F32, "types: all must be float32");
    Problem::Check(geometry.size() > 0 && geometry[0] >= 0 && geometry[0] <= 2, "attributes");
    // Arguments are two of (input, kernel, output), in this order; the third is the result.
    const Floats* of[3][3] = {{&a, &b, &r}, {&r, &a, &b}, {&a, &r, &b}};
    const auto [x, kernel, y] = of[geometry[0]];
    const Problem p(geometry.begin(), geometry.size(), Shape(*x), Shape(*kernel), Shape(*y));
    auto data = [](const Floats* f) { return static_cast<float*>(f->untyped_data()); };
    Run(p, pool, data(x), data(kernel), data(y));
    return ffi::Error::Success();
  } catch (const std::invalid_argument& e) {
    return ffi::Error::InvalidArgument(e.what());
  } catch (const std::exception& e) {
    return ffi::Error::Internal(std::string("oneDNN: ") + e.what());
  }
}

}  // namespace

XLA_FFI_DEFINE_HANDLER_SYMBOL(kerasish_convolution, Handle,
                              ffi::Ffi::Bind()
                                  .Ctx<ffi::ThreadPool>()
                                  .Arg<Floats>()
                                  .Arg<Floats>()
                                  .Ret<Floats>()
                                  .Attr<ffi::Span<const int64_t>>("geometry"));

// Whether oneDNN has fast code for it. Never throws.
extern "C" int kerasish_convolution_is_fast(
    const int64_t* geometry, int64_t size, int64_t rank, const int64_t* x, const int64_t* kernel,
    const int64_t* y) {
  try {
    OneOpenMPThread one;
    const Problem p(geometry, size, Dims(x, x + rank), Dims(kernel, kernel + rank),
                    Dims(y, y + rank));
    const int64_t threads = std::thread::hardware_concurrency();
    return p.batch > 0 && Cached(p, p.batch / Slices(p, threads))->Fast();
  } catch (const std::exception&) {
    return 0;
  }
}

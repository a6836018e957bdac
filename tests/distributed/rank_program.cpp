// A program that runs as several processes, for test_process_group.cpp, test_device_group.cpp,
// test_launch.cpp and test_new_start.cpp: what they test is how processes end.
#include <ATen/ops/full.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/tensor.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <string_view>

#include "cli/launch.h"
#include "cli/main.h"
#include "cli/new_start.h"
#include "communicator.h"
#include "distributed/counted_engine.h"
#include "distributed/starved.h"
#include "error.h"
#include "pretrain/train/gradient_sum.h"
#include "pretrain/train/stop_signal.h"
#include "support/counted_device.h"

namespace {

using namespace previt;

void expect(bool right, const char* what) { require(right, "wrong: {}", what); }

void sums(at::Device device) {
  Communicator& all = world();
  const int64_t rank = all.rank(), size = all.size();
  const double total = static_cast<double>(size * (size + 1) / 2);
  for (const auto type : {at::kFloat, at::kDouble, at::kBFloat16, at::kLong, at::kInt}) {
    const at::Tensor tensor = at::full({2, 3}, rank + 1, at::TensorOptions(type).device(device));
    all.sum(tensor);
    expect(tensor.eq(total).all().item<bool>(), "sum");
    all.max(tensor.fill_(rank));
    expect(tensor.eq(size - 1).all().item<bool>(), "max");
  }
  const at::Tensor flags = at::full({2}, rank == 1, at::TensorOptions(at::kBool).device(device));
  flags[1] = false;
  all.sum(flags);
  expect(flags[0].item<bool>() && !flags[1].item<bool>(), "sum of flags");
  const at::Tensor first = at::full({1000}, 1.0, device), second = at::full({10}, 2.0, device);
  const auto one = all.start_sum(first), two = all.start_sum(second);
  two->wait();
  one->wait();
  expect(first.eq(size).all().item<bool>() && second.eq(2 * size).all().item<bool>(), "two sums");
}

void gathers(at::Device device) {
  Communicator& all = world();
  const int64_t rank = all.rank(), size = all.size();
  for (const auto type : {at::kFloat, at::kLong, at::kBool, at::kBFloat16, at::kByte}) {
    // Rank 0 has none, as a share of few images may be.
    const at::Tensor gathered =
        all.gather(at::full({rank, 2}, rank, at::TensorOptions(type).device(device)));
    expect(gathered.device() == device, "gathered on the device");
    expect(gathered.size(0) == size * (size - 1) / 2 && gathered.scalar_type() == type, "gather");
    int64_t row = 0;
    for (int64_t from = 0; from < size; ++from) {
      for (int64_t i = 0; i < from; ++i) {
        expect(gathered[row++].eq(at::full({2}, from, gathered.options())).all().item<bool>(),
               "gathered row");
      }
    }
  }
  const at::Tensor turned = at::full({2, 3}, rank, at::TensorOptions(at::kLong).device(device)).t();
  all.broadcast(turned, size - 1);
  expect(turned.eq(size - 1).all().item<bool>(), "broadcast");
  expect(all.broadcast(rank == 0 ? std::string("a text") : std::string()) == "a text", "text");
  expect(all.broadcast(std::string()).empty(), "no text");
}

// A tensor of the device stays there; a small one of the host does not go there.
void stays_on_device(at::Device device) {
  const int64_t before = test::counted_operations();
  const at::Tensor there = at::full({5}, 1.0, device), here = at::full({5}, 1.0);
  world().sum(there);
  const test::HostTraffic traffic;
  world().sum(there);
  world().sum(here);
  world().barrier();
  expect(traffic.counts().empty(), "nothing passes between host and device");
  expect(test::counted_operations() == before + 2, "operations of the engine");
}

void gradients(at::Device device) {
  if (!device.is_cpu() && !test::counted_device_has_gradients()) return;
  const at::Tensor first = at::ones({30, 2}, device).requires_grad_();
  const at::Tensor second = at::ones({30}, device).requires_grad_();
  GradientSum sum({first, second}, 64);  // two buckets
  const double total = static_cast<double>(world().size() * (world().size() + 1) / 2);
  for (int step = 0; step < 3; ++step) {
    sum.begin_backward(true);
    ((first.sum() + 2 * second.sum()) * static_cast<double>(world().rank() + 1)).backward();
    const at::Tensor numbers = at::ones({1}, at::kDouble);
    sum.finish(numbers);
    expect(numbers.item<double>() == static_cast<double>(world().size()), "numbers of a step");
    expect(first.grad().eq(total).all().item<bool>(), "gradient");
    expect(second.grad().eq(2 * total).all().item<bool>(), "another gradient");
    first.mutable_grad() = second.mutable_grad() = at::Tensor();
  }
}

// Sums until a signal comes to any rank, and then saves for a while, as training does.
int work_until_signal() {
  const StopSignal signal;
  for (;;) {
    const at::Tensor code = at::full({1}, signal.exit_code(), at::kLong);
    world().max(code);
    if (const auto stop = code.item<int64_t>(); stop != 0) {
      ::usleep(2'500'000);
      cli::print("saved\n");
      return static_cast<int>(stop);
    }
    ::usleep(20'000);
  }
}

int work(const std::string& task, bool chosen, at::Device device) {
  world().use_device(device);
  const bool on_device = !device.is_cpu();
  if (on_device) world().sum(at::ones({1}, device));
  if (task == "operations") {
    sums(device);
    gathers(device);
    gradients(device);
    if (on_device) stays_on_device(device);
  }
  if (task == "refuse") fail_usage("--task: refused by all");
  if (task == "fail" && chosen) fail("disk: full");
  if (task == "ask" && chosen && cli::ask_for_new_start(8)) {
    fail("{} before", cli::images_before_new_start());
  }
  if (task == "kill" && chosen) std::raise(SIGKILL);
  if (task == "stop" && chosen) std::raise(SIGSTOP);
  if (task == "hang" && chosen) ::sleep(60);
  if (task.starts_with("busy") && chosen) {
    const Busy busy;
    if (task == "busy-stop") std::raise(SIGSTOP);
    ::sleep(6);
  }
  if (task == "train") return work_until_signal();
  if (task == "sleep") ::sleep(60);
  on_device ? world().sum(at::ones({1}, device)) : world().barrier();
  if (task == "linger" && chosen) ::sleep(7);
  if (task == "after" && chosen) fail("the end: too early");
  cli::print("done by rank " + std::to_string(world().rank()) + "\n");
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc > 1 && std::string_view(argv[1]) == "pretrain") {
    return test::starved_pretrain(argc - 1, argv + 1);
  }
  cli::po::options_description options("Options");
  auto add = options.add_options();
  add("task", cli::po::value<std::string>()->required(), "what to do");
  add("rank", cli::po::value<int64_t>()->default_value(0), "who does it");
  add("resume", "given by --nproc where it starts anew");
  add("counted", cli::po::bool_switch(), "on the counted device");
  add("timeout", cli::po::value<double>()->default_value(20), "seconds");
  const bool several = std::getenv("ALONE") == nullptr;
  if (several) cli::add_nproc_option(options);
  return cli::run(argc, argv, "rank_program: for tests", options, [](const auto& args) {
    world().set_timeout(args["timeout"].template as<double>());
    return work(
        args["task"].template as<std::string>(),
        world().rank() == args["rank"].template as<int64_t>(),
        args["counted"].template as<bool>() ? test::counted_device() : at::Device(at::kCPU));
  });
}

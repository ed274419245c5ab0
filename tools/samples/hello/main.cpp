// The shortest program on Naru: opens the engine, loads a model, runs it on zeros, prints outputs.
#include <algorithm>
#include <cctype>
#include <iostream>

#include "naru/naru.h"

/// Zeros for one input; dimensions that the model leaves open are 1.
static naru::Tensor zeros(const naru::PortInfo& port) {
  naru::Shape shape;
  for (const std::string& dim : port.dims) {
    const bool number = std::isdigit(static_cast<unsigned char>(dim.front())) != 0;
    shape.push_back(number ? std::stoll(dim) : 1);
  }
  naru::Tensor tensor(port.dtype, shape);
  std::fill_n(tensor.mutable_data(), tensor.size_bytes(), std::byte{0});
  return tensor;
}

int main(int argc, char** argv) try {
  if (argc != 2) throw naru::Error(naru::ErrorCode::InvalidArgument, "usage: naru_hello MODEL");
  naru::Engine engine;
  const naru::Model model = engine.load(argv[1]);
  naru::Session session = model.create_session();
  std::vector<naru::Datum> inputs;
  for (const naru::PortInfo& port : model.inputs()) inputs.emplace_back(zeros(port));
  for (const naru::Datum& output : session.run(inputs)) {
    std::cout << to_string(output.tensor) << '\n';
  }
} catch (const naru::Error& error) {
  std::cerr << "error: " << error.what() << '\n';
  return 1;
}

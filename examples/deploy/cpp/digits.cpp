// Read a digit with OpenCV's dnn module (Debian: libopencv-dev).
//
//     g++ -O2 digits.cpp -o digits $(pkg-config --cflags --libs opencv4)
//     ./digits out/deploy
#include <cstdio>
#include <fstream>
#include <iterator>
#include <sstream>
#include <string>
#include <vector>

#include <opencv2/dnn.hpp>

int main(int count, char** words) {
  if (count != 2) {
    std::fprintf(stderr, "usage: digits FOLDER\n");
    return 2;
  }
  const std::string folder = words[1];
  std::ifstream file(folder + "/picture.json");
  std::string text((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  for (char& c : text)
    if (c == '[' || c == ']' || c == ',') c = ' ';
  std::istringstream numbers(text);
  std::vector<float> picture((std::istream_iterator<float>(numbers)), std::istream_iterator<float>());

  cv::dnn::Net net = cv::dnn::readNetFromONNX(folder + "/digits_plain.onnx");
  const int shape[] = {1, 8, 8, 1};
  net.setInput(cv::Mat(4, shape, CV_32F, picture.data()));
  const cv::Mat found = net.forward();

  const float* probabilities = found.ptr<float>();
  for (int i = 0; i < 10; ++i) std::printf("%s%.9g", i ? ", " : "[", probabilities[i]);
  std::printf("]\n");
}

// What Digits.java calls: OpenCV's dnn module, as Debian's own Java binding cannot read ONNX.
#include <jni.h>

#include <opencv2/dnn.hpp>

extern "C" JNIEXPORT jfloatArray JNICALL Java_Digits_read(JNIEnv* env, jclass, jstring path,
                                                           jfloatArray picture) {
  const char* name = env->GetStringUTFChars(path, nullptr);
  jfloat* values = env->GetFloatArrayElements(picture, nullptr);
  jfloatArray result = nullptr;
  try {
    cv::dnn::Net net = cv::dnn::readNetFromONNX(name);
    const int shape[] = {1, 8, 8, 1};
    net.setInput(cv::Mat(4, shape, CV_32F, values));
    const cv::Mat found = net.forward();
    result = env->NewFloatArray(static_cast<jsize>(found.total()));
    env->SetFloatArrayRegion(result, 0, static_cast<jsize>(found.total()), found.ptr<float>());
  } catch (const cv::Exception& error) {
    env->ThrowNew(env->FindClass("java/lang/RuntimeException"), error.what());
  }
  env->ReleaseFloatArrayElements(picture, values, JNI_ABORT);
  env->ReleaseStringUTFChars(path, name);
  return result;
}

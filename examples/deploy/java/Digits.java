// Read a digit from Java, with OpenCV's dnn module (Debian: libopencv-dev, a JDK). Debian's own Java
// binding of OpenCV leaves out `readNetFromONNX`, so a few lines of C++ stand between.
//
//     javac -d . Digits.java
//     g++ -O2 -shared -fPIC digits_jni.cpp -o libdigits_jni.so $(pkg-config --cflags opencv4) \
//         -I$JAVA_HOME/include -I$JAVA_HOME/include/linux -lopencv_dnn -lopencv_core
//     java -Djava.library.path=. -cp . Digits out/deploy
//
// Where Maven is at hand, `com.microsoft.onnxruntime:onnxruntime` reads digits.onnx without C++.

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

public class Digits {
    private static native float[] read(String model, float[] picture);

    public static void main(String[] words) throws Exception {
        System.loadLibrary("digits_jni");
        Path folder = Path.of(words[0]);
        String text = Files.readString(folder.resolve("picture.json")).replaceAll("[\\[\\]\\s]", "");
        String[] parts = text.split(",");
        float[] picture = new float[parts.length];
        for (int i = 0; i < parts.length; i++) picture[i] = Float.parseFloat(parts[i]);

        List<String> shown = new ArrayList<>();
        for (float probability : read(folder.resolve("digits_plain.onnx").toString(), picture)) {
            shown.add(Float.toString(probability));
        }
        System.out.println("[" + String.join(", ", shown) + "]");
    }
}

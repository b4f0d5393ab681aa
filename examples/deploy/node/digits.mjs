// Read a digit with ONNX Runtime for Node: `npm install --ignore-scripts onnxruntime-node`.
//
//     node digits.mjs out/deploy
import { readFileSync } from "node:fs";
import { join } from "node:path";
import ort from "onnxruntime-node";

const folder = process.argv[2];
const session = await ort.InferenceSession.create(join(folder, "digits.onnx"));
const picture = JSON.parse(readFileSync(join(folder, "picture.json"), "utf8"));
const image = new ort.Tensor("float32", Float32Array.from(picture), [1, 8, 8, 1]);
const outputs = await session.run({ [session.inputNames[0]]: image });
console.log(JSON.stringify(Array.from(outputs[session.outputNames[0]].data)));

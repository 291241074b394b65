/** A program that says what it finds in a slab that it has given back. */
import { returnSlab, takeSlab } from "@cutline/runtime";

const text = "somebody's message";
const slab = takeSlab();
slab.write(text);
returnSlab(slab);
console.log(JSON.stringify({ message: "probed", slab: slab.toString("hex", 0, text.length) }));
setInterval(() => undefined, 1_000);

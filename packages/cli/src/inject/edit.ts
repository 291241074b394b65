import { keysOf, type PatchOperation } from "@cutline/injection";
import { type Document, isCollection, isSeq, type YAMLSeq } from "yaml";

type Key = string | number;

/**
 * Applies the operations, whose paths begin at `base`, to the document in place: comments, order and quotes of what they
 * do not touch stay. The document has no aliases.
 */
export function edit(document: Document, base: readonly Key[], operations: readonly PatchOperation[]): void {
  for (const operation of operations) {
    const keys = [...base, ...keysOf(operation.path)];
    const parent = keys.slice(0, -1);
    const key = keys.at(-1);
    const holder = document.getIn(parent, true);
    if (key === undefined || !isCollection(holder)) throw new RangeError(`there is no ${parent.join("/")}`);
    if (isSeq(holder)) editSeq(document, holder, Number(key), operation);
    else if (operation.op === "remove") holder.delete(key);
    else holder.set(key, document.createNode(operation.value));
  }
}

function editSeq(document: Document, seq: YAMLSeq, index: number, operation: PatchOperation): void {
  const replaced = operation.op === "add" ? 0 : 1;
  const added = operation.op === "remove" ? [] : [document.createNode(operation.value)];
  seq.items.splice(index, replaced, ...added);
}

import { type InjectionPolicy, inject, isObject, type Json, type Outcome, podPathOf, remove } from "@cutline/injection";
import { Document, parseAllDocuments, visit } from "yaml";
import { CliError, exitCodes } from "../errors.ts";
import { edit } from "./edit.ts";

/** What became of one workload of the input. */
export interface Done {
  /** `deployment/teller`, or where it stands when it has no name. */
  readonly workload: string;
  readonly outcome: Outcome;
}

export interface Rewritten {
  /** YAML, as many documents as there were. */
  readonly text: string;
  readonly done: readonly Done[];
  /** Documents whose comments are lost, because they use aliases; counted from 1. */
  readonly plain: readonly number[];
}

type Work = (pod: Json, namespace: string | undefined) => Outcome;

/** Puts agents into every workload of the YAML or JSON documents. Throws `CliError` where they cannot be read. */
export function injectAll(source: string, policy: InjectionPolicy): Rewritten {
  return rewrite(source, (pod, namespace) => inject({ pod, namespace, policy }));
}

/** Takes them away again. */
export function removeAll(source: string): Rewritten {
  return rewrite(source, remove);
}

/** Of nested Lists. */
const listDepthMax = 8;

function rewrite(source: string, work: Work): Rewritten {
  const parsed = parseAllDocuments(source, { merge: true });
  const documents: readonly Document[] = Array.isArray(parsed) ? parsed : [];
  const done: Done[] = [];
  const plain: number[] = [];
  const texts = documents.map((document, index) => {
    const problem = document.errors[0];
    if (problem !== undefined) {
      throw new CliError("DocumentInvalid", exitCodes.usage, `document ${index + 1}: ${problem.message}`);
    }
    const value = document.toJS() as Json;
    const places = workloadsOf(value, [], index + 1);
    const results = places.map((place) => ({ place, outcome: work(place.pod, place.namespace) }));
    done.push(...results.map(({ place, outcome }) => ({ workload: place.workload, outcome })));
    const patched = results.flatMap(({ place, outcome }) => (outcome.outcome === "patch" ? [{ place, outcome }] : []));
    if (patched.length === 0) return source.slice(documents[index - 1]?.range?.[2] ?? 0, document.range?.[2]);
    let target: Document = document;
    if (hasAliases(document)) {
      target = new Document(structuredClone(value));
      plain.push(index + 1);
    }
    for (const { place, outcome } of patched) edit(target, place.path, outcome.operations);
    return target.toString({ lineWidth: 0, indentSeq: indentsLists(source) });
  });
  return { text: join(texts), done, plain };
}

interface Place {
  readonly workload: string;
  readonly path: readonly (string | number)[];
  readonly pod: Json;
  readonly namespace: string | undefined;
}

function workloadsOf(value: Json, path: readonly (string | number)[], at: number, depth = 0): Place[] {
  if (!isObject(value)) return [];
  const { kind, items } = value;
  if (typeof kind === "string" && kind.endsWith("List") && Array.isArray(items)) {
    if (depth >= listDepthMax) {
      const message = `document ${at}: Lists in Lists, more than ${listDepthMax} deep`;
      throw new CliError("DocumentInvalid", exitCodes.usage, message);
    }
    return items.flatMap((item, index) => workloadsOf(item, [...path, "items", index], at, depth + 1));
  }
  const podPath = podPathOf(value);
  if (podPath === undefined) return [];
  const metadata = isObject(value.metadata) ? value.metadata : {};
  const name = typeof metadata.name === "string" ? metadata.name : metadata.generateName;
  const pod = podPath.reduce<Json | undefined>((holder, key) => (isObject(holder) ? holder[key] : undefined), value);
  return [
    {
      workload: `${String(kind).toLowerCase()}/${typeof name === "string" ? name : `of document ${at}`}`,
      path: [...path, ...podPath],
      pod: pod ?? null,
      namespace: typeof metadata.namespace === "string" ? metadata.namespace : undefined,
    },
  ];
}

function hasAliases(document: Document): boolean {
  let found = false;
  visit(document, {
    Alias() {
      found = true;
      return visit.BREAK;
    },
  });
  return found;
}

/** Whether lists stand deeper than the key they belong to. */
function indentsLists(source: string): boolean {
  return !/^( *)[^\s#-][^\n]*:[ ]*\n\1- /m.test(source);
}

function join(texts: readonly string[]): string {
  return texts
    .map((text) =>
      text
        .replace(/^---[ ]*\n/, "")
        .replace(/^\n+/, "")
        .trimEnd(),
    )
    .filter((text) => text !== "")
    .map((text) => `${text}\n`)
    .join("---\n");
}

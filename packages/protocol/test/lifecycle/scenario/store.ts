import type { PublicationOutcome, SnapshotDocument, WriteOutcome } from "@cutline/protocol";

export interface Stored {
  readonly document: SnapshotDocument;
  readonly term: number;
  readonly sequence: number;
  readonly published: boolean;
}

/** One snapshot's document and parts. Every write checks the term of the lease, as the stores' scripts do. */
export class StoreModel {
  /** Of the leader that holds the lease. */
  term = 0;
  publications = 0;
  stored: Stored | undefined;
  /** `attempt kind owner`. */
  readonly parts = new Set<string>();

  create(term: number, document: SnapshotDocument): void {
    this.stored = { document, term, sequence: 0, published: false };
  }

  write(term: number, sequence: number, document: SnapshotDocument): WriteOutcome {
    return this.#replace(term, { document, term, sequence, published: false });
  }

  publish(term: number, sequence: number, document: SnapshotDocument): PublicationOutcome {
    const outcome = this.#replace(term, { document, term, sequence, published: true });
    if (outcome === "published") return "already";
    if (outcome !== "written") return outcome;
    this.publications += 1;
    return "published";
  }

  readBack(): "completed" | "notCompleted" {
    return this.stored?.published === true ? "completed" : "notCompleted";
  }

  removeParts(term: number, attemptThrough: number): "removed" | "fenced" {
    if (this.term > term) return "fenced";
    for (const name of this.parts) if (attemptOf(name) <= attemptThrough) this.parts.delete(name);
    return "removed";
  }

  partsOf(attempt: number): string[] {
    return [...this.parts].filter((name) => attemptOf(name) === attempt).map((name) => name.replace(/^\d+ /, ""));
  }

  #replace(term: number, next: Stored): "written" | "fenced" | "missing" | "published" {
    const { stored } = this;
    if (Math.max(this.term, stored?.term ?? 0) > term) return "fenced";
    if (stored === undefined) return "missing";
    if (stored.published) return "published";
    if (stored.term === term && stored.sequence > next.sequence) return "fenced";
    this.stored = next;
    return "written";
  }
}

function attemptOf(name: string): number {
  return Number(name.slice(0, name.indexOf(" ")));
}

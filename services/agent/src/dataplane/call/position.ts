/** How far one side of a call has got in one direction, in what applications count: headers, messages, the end. */
export interface Position {
  readonly headers: boolean;
  readonly messages: number;
  readonly end: boolean;
}

export const nothingYet: Position = { headers: false, messages: 0, end: false };

/** Everything there will ever be. */
export const everything: Position = { headers: true, messages: Number.POSITIVE_INFINITY, end: true };

/** What a frame is in a position's terms. */
export type FrameRole =
  | { readonly part: "headers" }
  | { readonly part: "message"; readonly index: number }
  | { readonly part: "end" };

export const headersRole: FrameRole = { part: "headers" };
export const endRole: FrameRole = { part: "end" };

const firstRoles: readonly FrameRole[] = Array.from({ length: 16 }, (_, index) => ({ part: "message", index }));

export function messageRole(index: number): FrameRole {
  return firstRoles[index] ?? { part: "message", index };
}

/** Whether a frame stands before the position. A piece of a message does when the whole message does. */
export function covers(position: Position, role: FrameRole): boolean {
  switch (role.part) {
    case "headers":
      return position.headers || position.messages > 0 || position.end;
    case "message":
      return role.index < position.messages;
    case "end":
      return position.end;
  }
}

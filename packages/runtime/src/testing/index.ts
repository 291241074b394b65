export * from "./mesh.ts";
export * from "./poison.ts";

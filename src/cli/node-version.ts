/** The oldest Node with `node:sqlite`; the same as `engines` in package.json. */
const oldest = "22.13";

/** What is wrong with a Node of this version, if anything. */
export function nodeFault(version: string): string | undefined {
  const [major = 0, minor = 0] = version.split(".").map(Number);
  const [leastMajor = 0, leastMinor = 0] = oldest.split(".").map(Number);
  if (major > leastMajor || (major === leastMajor && minor >= leastMinor)) return undefined;
  return `it needs Node ${oldest} or newer, and this is Node ${version}.`;
}

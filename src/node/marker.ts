/**
 * The first line of every file that the agent writes: by it, and by nothing else, it knows its own. What has no such line
 * belongs to somebody else and is never touched. Runtimes take it for a comment: TOML's, or text before the first block
 * of a PEM file (RFC 7468 §2).
 */
const MARKER = /^# managed-by: stevedore uid=([A-Za-z0-9,-]+)(?:\n|$)/;

/** @param owners uids of the resources that want the file */
export function marked(owners: readonly string[], text: string): string {
  return `# managed-by: stevedore uid=${owners.join(',')}\n${text}`;
}

/** The uids in the marker; undefined: the file belongs to somebody else. */
export function ownersOf(text: string): readonly string[] | undefined {
  return MARKER.exec(text)?.[1]?.split(',');
}

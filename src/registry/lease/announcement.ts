/**
 * What a server says of itself in `servers/<server>`. `writing` is there before the first look that lets it write, so a
 * collector that has declared itself finds every server that might not have seen it.
 */
export interface Announcement {
  readonly server: string;
  readonly state: 'idle' | 'writing';
  /** The live runs that the server has seen: its answer to their call. */
  readonly runs: readonly string[];
  /** Those of them for which it holds new writes. */
  readonly holds: readonly string[];
  /** Requests that hold a permission: manifests, mounts, deletes, new uploads. */
  readonly writes: number;
  /** Upload sessions with a request in progress, or one that ended a short while ago. */
  readonly uploads: number;
}

export function encodeAnnouncement(announcement: Announcement): Buffer {
  return Buffer.from(`${JSON.stringify({ version: 1, ...announcement })}\n`);
}

/** @returns undefined for what cannot be understood: the server then counts as one that does not answer. */
export function decodeAnnouncement(server: string, bytes: Uint8Array): Announcement | undefined {
  let value: unknown;
  try {
    value = JSON.parse(Buffer.from(bytes).toString('utf8'));
  } catch {
    return undefined;
  }
  if (typeof value !== 'object' || value === null) return undefined;
  // One that knows of no call holds writes for every run that it sees.
  const { state, runs, holds = runs, writes, uploads } = value as Readonly<Record<string, unknown>>;
  if (state !== 'idle' && state !== 'writing') return undefined;
  if (
    !Array.isArray(runs) ||
    !Array.isArray(holds) ||
    typeof writes !== 'number' ||
    typeof uploads !== 'number'
  )
    return undefined;
  return { server, state, runs: runs.filter(isName), holds: holds.filter(isName), writes, uploads };
}

function isName(value: unknown): value is string {
  return typeof value === 'string';
}

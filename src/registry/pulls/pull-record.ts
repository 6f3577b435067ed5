/**
 * What a file of last pulls says. A reference is a tag, or the digest of a manifest that was pulled by it.
 */
export interface PullRecord {
  /** When whoever wrote it began to record; milliseconds since the epoch, as all times here. */
  readonly since: number;
  /** Up to when pulls may be missing because there was no room for them. */
  readonly forgotAt?: number;
  /** By repository and reference; to the second. */
  readonly pulls: ReadonlyMap<string, ReadonlyMap<string, number>>;
}

const VERSION = 1;

export function encodePulls({ since, forgotAt, pulls }: PullRecord): Buffer {
  const repositories = Object.fromEntries(
    [...pulls].map(([repository, references]) => [
      repository,
      Object.fromEntries([...references].map(([name, at]) => [name, Math.floor(at / 1000)])),
    ]),
  );
  return Buffer.from(
    `${JSON.stringify({ version: VERSION, since, ...(forgotAt && { forgotAt }), pulls: repositories })}\n`,
  );
}

/** @returns undefined for what is damaged or of a newer version. */
export function decodePulls(bytes: Uint8Array): PullRecord | undefined {
  const value = parseObject(Buffer.from(bytes).toString('utf8'));
  if (value?.get('version') !== VERSION) return undefined;
  const [since, forgotAt, repositories] = [
    value.get('since'),
    value.get('forgotAt'),
    entries(value.get('pulls')),
  ];
  if (typeof since !== 'number' || repositories === undefined) return undefined;
  const pulls = new Map<string, Map<string, number>>();
  for (const [repository, references] of repositories) {
    const times = new Map<string, number>();
    for (const [name, seconds] of entries(references) ?? []) {
      if (typeof seconds !== 'number') return undefined;
      times.set(name, seconds * 1000);
    }
    pulls.set(repository, times);
  }
  return { since, pulls, ...(typeof forgotAt === 'number' && { forgotAt }) };
}

/**
 * What several servers recorded: of each reference the last pull. Pure, and the same in any order and however often
 * something is merged in.
 * @param oldest pulls before that are left out
 */
export function mergePulls(records: readonly PullRecord[], oldest = 0): PullRecord | undefined {
  if (records.length === 0) return undefined;
  const pulls = new Map<string, Map<string, number>>();
  for (const record of records) {
    for (const [repository, references] of record.pulls) {
      const times = pulls.get(repository) ?? new Map<string, number>();
      for (const [name, at] of references) {
        if (at >= oldest) times.set(name, Math.max(at, times.get(name) ?? 0));
      }
      if (times.size > 0) pulls.set(repository, times);
    }
  }
  const forgotAt = Math.max(...records.map((record) => record.forgotAt ?? 0));
  return {
    since: Math.min(...records.map(({ since }) => since)),
    pulls,
    ...(forgotAt > 0 && { forgotAt }),
  };
}

function parseObject(text: string): ReadonlyMap<string, unknown> | undefined {
  try {
    const found = entries(JSON.parse(text));
    return found && new Map(found);
  } catch {
    return undefined;
  }
}

function entries(value: unknown): [string, unknown][] | undefined {
  return typeof value === 'object' && value !== null ? Object.entries(value) : undefined;
}

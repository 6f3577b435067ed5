/**
 * The order in which a manifest becomes visible and is acknowledged (docs/decisions/0003-read-only-lease.md). Pure, so
 * that `test/model/` explores what `ManifestStore` does: every interleaving with collectors, stalls and late writes.
 */

/** A write of a manifest (part 0), then of each of its tags (parts 1 to `parts` - 1). */
export interface ManifestWrite {
  readonly step: WriteStep;
  readonly part: number;
  readonly parts: number;
}

/**
 * `verify`: everything the manifest refers to is there, or comes back from the trash. `write`: the part becomes visible,
 * with a permission that was checked right before. `look`: the runs are listed again, behind the write. `verify-again`:
 * a run came and went, so everything is looked at once more, the manifest itself included. `put-back`: a tag that was
 * written says again what it said before.
 */
export type WriteStep =
  'verify' | 'write' | 'look' | 'verify-again' | 'put-back' | 'acknowledged' | 'refused';

/** `changed`: a run came and went since the last look. `refused`: something is missing, a run marks, or the step failed. */
export type WriteOutcome = 'done' | 'changed' | 'refused';

export function beginWrite(tags: number): ManifestWrite {
  return { step: 'verify', part: 0, parts: 1 + tags };
}

export function afterWriteStep(write: ManifestWrite, outcome: WriteOutcome): ManifestWrite {
  switch (write.step) {
    case 'verify':
      return { ...write, step: outcome === 'done' ? 'write' : 'refused' };
    case 'write':
      // A write that failed may still land; nobody can tell what to put back.
      return { ...write, step: outcome === 'done' ? 'look' : 'refused' };
    case 'look':
      if (outcome === 'changed') return { ...write, step: 'verify-again' };
      return outcome === 'done' ? nextPart(write) : takeBack(write);
    case 'verify-again':
      return outcome === 'done' ? nextPart(write) : takeBack(write);
    case 'put-back':
      return { ...write, step: 'refused' };
    case 'acknowledged':
    case 'refused':
  }
  return write;
}

function nextPart(write: ManifestWrite): ManifestWrite {
  const part = write.part + 1;
  return part < write.parts ? { ...write, part, step: 'write' } : { ...write, step: 'acknowledged' };
}

/** A manifest that stays behind without a tag is collected; a tag would lead to what a collector may have taken. */
function takeBack(write: ManifestWrite): ManifestWrite {
  return { ...write, step: write.part === 0 ? 'refused' : 'put-back' };
}

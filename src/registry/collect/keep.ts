import type { Digest } from '../../oci/digest.ts';
import type { RepositoryScan, Revision } from './repository-scan.ts';

/**
 * Which manifests of a repository stay. Without `deleteUntagged` all of them. With it, those that something leads to:
 * a tag, an index that stays (its children), a manifest that stays (its referrers: signatures, SBOMs), or their youth.
 * Pure.
 * @param isYoung whether an untagged manifest is younger than the minimum age, and may be a push in progress.
 */
export function manifestsToKeep(
  scan: Pick<RepositoryScan, 'revisions' | 'tags'>,
  options: {
    readonly deleteUntagged: boolean;
    readonly isYoung: (revision: Revision) => boolean;
    /** Manifests that stay as long as another does, by the other: what clients tag after its digest. */
    readonly followers?: ReadonlyMap<Digest, readonly Digest[]>;
  },
): ReadonlySet<Digest> {
  if (!options.deleteUntagged) return new Set(scan.revisions.keys());
  const referrers = new Map<Digest, Digest[]>();
  // The same manifest may be known by its sha256 and its sha512 digest; one name keeps the other.
  const names = new Map<Digest, Digest[]>();
  const waiting = [...scan.tags.values()];
  for (const revision of scan.revisions.values()) {
    const { digest, canonical, references } = revision;
    if (options.isYoung(revision)) waiting.push(digest);
    names.set(canonical, [...(names.get(canonical) ?? []), digest]);
    if (references.subject === undefined) continue;
    referrers.set(references.subject, [...(referrers.get(references.subject) ?? []), digest]);
  }
  const keep = new Set<Digest>();
  for (let digest = waiting.pop(); digest !== undefined; digest = waiting.pop()) {
    const revision = scan.revisions.get(digest);
    if (revision === undefined || keep.has(digest)) continue;
    keep.add(digest);
    waiting.push(...revision.references.manifests, ...(referrers.get(digest) ?? []));
    waiting.push(...(options.followers?.get(digest) ?? []));
    waiting.push(...(names.get(revision.canonical) ?? []));
  }
  return keep;
}

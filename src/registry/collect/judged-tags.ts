import type { Digest } from '../../oci/digest.ts';
import type { Tag } from '../../oci/tag.ts';
import { fallbackTag } from '../storage/referrers.ts';
import type { DeadTag, Retention } from './mark.ts';
import type { RepositoryScan } from './repository-scan.ts';
import {
  judgeTags,
  type DecidingRule,
  type JudgeOptions,
  type TagReason,
  type TagTimes,
} from './retention.ts';

/** The tags of a repository, as the rules of retention see them. */
export interface JudgedTags {
  /** Tags that stay by themselves. */
  readonly roots: ReadonlyMap<Tag, Digest>;
  /** What is tagged after the digest of another manifest, by that manifest. */
  readonly followers: ReadonlyMap<Digest, readonly Digest[]>;
  /** Tags that go when these manifests are all that stays. */
  readonly goingWith: (keep: ReadonlySet<Digest>) => readonly DeadTag[];
}

/** Where no rule is about the repository. */
export function allStay(
  { repository, tags, revisions }: RepositoryScan,
  judged: Retention['judged'] | undefined,
): JudgedTags {
  for (const [tag, digest] of tags) {
    if (revisions.has(digest)) judged?.({ repository, tag, keep: true, rule: undefined, reason: 'NoRule' });
  }
  return { roots: tags, followers: new Map(), goingWith: () => [] };
}

/**
 * Applies a rule. What clients tag after a digest, as cosign does with signatures (`sha256-<hex>.sig`) and the fallback of
 * the referrers API does, belongs to that manifest: it is not judged, and stays and goes with it.
 * @param times of the tags that have a manifest; the others are none of retention's.
 */
export function judgeRepository(
  scan: RepositoryScan,
  rule: DecidingRule,
  times: ReadonlyMap<Tag, TagTimes>,
  options: Pick<Retention, 'pulls' | 'judged'> & Omit<JudgeOptions, 'pullsSince'>,
): JudgedTags {
  const { repository, tags, revisions } = scan;
  const { pulls, judged, now, minimumAge } = options;
  const tell = (tag: Tag, keep: boolean, reason: TagReason): void =>
    judged?.({ repository, tag, keep, rule: rule.index, reason });
  const subjects = new Map([...revisions.keys()].map((digest) => [fallbackTag(digest), digest]));
  const followers = Map.groupBy(times.values(), ({ tag }) => subjects.get(stem(tag)));
  const judgedAlone = followers.get(undefined) ?? [];
  const reasons = judgeTags(rule.keepTags, judgedAlone, { now, minimumAge, pullsSince: pulls.since });
  followers.delete(undefined);
  const roots = new Map(tags);
  const going: DeadTag[] = [];
  const drop = (tag: Tag): void => void going.push({ tag, seenAt: times.get(tag)?.pushedAt });
  for (const [tag, reason] of reasons) {
    tell(tag, reason !== 'NoCondition', reason);
    if (reason !== 'NoCondition') continue;
    roots.delete(tag);
    drop(tag);
  }
  const followed = new Map<Digest, Digest[]>();
  for (const [subject, following] of followers) {
    if (subject === undefined) continue;
    for (const { tag, pushedAt } of following) {
      const digest = tags.get(tag);
      if (digest === undefined || now - pushedAt < minimumAge) continue;
      followed.set(subject, [...(followed.get(subject) ?? []), digest]);
      roots.delete(tag);
    }
  }
  return {
    roots,
    followers: followed,
    goingWith(keep) {
      for (const [subject, following] of followers) {
        const stays = subject === undefined || keep.has(subject);
        for (const { tag } of following) {
          const isYoung = roots.has(tag);
          tell(tag, stays || isYoung, isYoung ? 'Young' : 'Subject');
          if (!stays && !isYoung) drop(tag);
        }
      }
      return going;
    },
  };
}

/** `sha256-<hex>` of `sha256-<hex>.sig`. */
function stem(tag: Tag): Tag {
  return (tag.split('.')[0] ?? tag) as Tag; // a tag up to its first dot is a tag, or nothing that is looked up finds
}

import type { TagReason, TagVerdict } from '../registry/collect/retention.ts';

/** Tags in a document; a registry may have more than anybody reads. */
const MOST = 1000;

/** Takes what a dry run says of tags, for people line by line as it comes, for machines as a list with an end. */
export interface TagVerdicts {
  readonly take: (verdict: TagVerdict) => void;
  /** What belongs into the JSON report. */
  readonly list: () => { readonly tags: readonly TagVerdict[]; readonly tagsLeftOut: number } | undefined;
}

export function printVerdicts(out: NodeJS.WritableStream): TagVerdicts {
  return { take: (verdict) => void out.write(`${verdictLine(verdict)}\n`), list: () => undefined };
}

/** Tags that go are what a reader looks for: they come first, and those that stay fill the rest. */
export function listVerdicts(): TagVerdicts {
  const going: TagVerdict[] = [];
  const staying: TagVerdict[] = [];
  let all = 0;
  return {
    take(verdict) {
      all++;
      const list = verdict.keep ? staying : going;
      if (list.length < MOST) list.push(verdict);
    },
    list() {
      const tags = [...going, ...staying].slice(0, MOST);
      return { tags, tagsLeftOut: all - tags.length };
    },
  };
}

function verdictLine({ repository, tag, keep, rule, reason }: TagVerdict): string {
  const by = rule === undefined ? '' : `rule ${rule + 1}: `;
  return `${keep ? 'keep  ' : 'delete'}  ${repository}:${tag}  ${by}${words[reason]}`;
}

const words: Readonly<Record<TagReason, string>> = {
  NoRule: 'no rule is about this repository',
  Young: 'younger than the minimum age',
  Pattern: 'matches a pattern',
  MostRecent: 'one of those pushed last',
  PushedWithin: 'pushed recently',
  PulledWithin: 'pulled or pushed recently',
  PullsUnknown: 'pulls are not recorded for that long',
  Subject: 'goes and stays with the manifest that it is named after',
  NoCondition: 'nothing keeps it',
};

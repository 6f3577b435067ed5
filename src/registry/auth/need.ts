import type { AccessAction } from '../../contract/access-rules.ts';

/** One thing that a request must be allowed. */
export type Need =
  | { readonly kind: 'repository'; readonly name: string; readonly action: AccessAction }
  | { readonly kind: 'catalog' };

/** As docker distribution spells a need in the body of a 401 and in the claims of a token. */
export interface AccessRecord {
  readonly Type: 'registry' | 'repository';
  readonly Class: '';
  readonly Name: string;
  readonly Action: string;
}

/** Listing tags is a pull in docker's scopes. */
export function accessRecord(need: Need): AccessRecord {
  if (need.kind === 'catalog') return { Type: 'registry', Class: '', Name: 'catalog', Action: '*' };
  const action = need.action === 'list' ? 'pull' : need.action;
  return { Type: 'repository', Class: '', Name: need.name, Action: action };
}

/** `repository:a:pull,push repository:b:pull`: the scope parameter of a Bearer challenge. */
export function scopeOf(needs: readonly Need[]): string {
  const actions = new Map<string, string[]>();
  for (const { Type, Name, Action } of needs.map(accessRecord)) {
    const resource = `${Type}:${Name}`;
    actions.set(resource, [...(actions.get(resource) ?? []), Action]);
  }
  return [...actions].map(([resource, names]) => `${resource}:${names.join(',')}`).join(' ');
}

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { nextPage } from '../../../src/oci-client/next-page.ts';

test('the next page is found among links', () => {
  const cases: readonly (readonly [string | undefined, string | undefined])[] = [
    ['</v2/a/tags/list?last=x&n=5>; rel="next"', '/v2/a/tags/list?last=x&n=5'],
    ['<https://r/v2/a?x=1>;rel=next', 'https://r/v2/a?x=1'],
    ['</first>; rel="first", </next>; title="a, b"; rel="prefetch next"', '/next'],
    ['</other>; rel="nextish"', undefined],
    ['</other>; rel=nextish', undefined],
    ['', undefined],
    [undefined, undefined],
  ];
  for (const [header, next] of cases) assert.equal(nextPage(header), next, header ?? 'none');
});

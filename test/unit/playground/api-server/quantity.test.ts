import assert from 'node:assert/strict';
import { test } from 'node:test';
import { canonicalQuantity, parseQuantity } from '../../../../src/playground/api-server/schema/quantity.ts';

test('quantities are written as Kubernetes writes them', () => {
  const cases: Readonly<Record<string, string>> = {
    '0': '0',
    '1.5': '1500m',
    '1.5Gi': '1536Mi',
    '1024Mi': '1Gi',
    '0.5Ki': '512',
    '1000m': '1',
    '1000': '1k',
    '100': '100',
    '1e3': '1e3',
    '12E6': '12e6',
    '1E': '1E',
    '-1.5': '-1500m',
    '+2': '2',
    '.5': '500m',
    '0.1n': '1n',
  };
  for (const [given, wanted] of Object.entries(cases)) assert.equal(canonicalQuantity(given), wanted, given);
});

test('what is no quantity is none', () => {
  for (const text of ['', 'x', '1x', '1 Gi', '1..5', 'Gi', '1KI', '--1']) {
    assert.equal(canonicalQuantity(text), undefined, text);
  }
});

test('quantities in different units compare by what they are', () => {
  assert.equal(parseQuantity('1Gi'), parseQuantity('1024Mi'));
  assert.ok((parseQuantity('1G') ?? 0n) < (parseQuantity('1Gi') ?? 0n));
});

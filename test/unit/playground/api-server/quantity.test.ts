import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseQuantity } from '../../../../src/playground/api-server/schema/quantity.ts';

test('a quantity is a number with a unit of thousands or of 1024, or an exponent', () => {
  const cases = {
    '1.5': '1500m',
    '1.5Gi': '1536Mi',
    '0.5Ki': '512',
    '12E6': '12M',
    '-1': '-1000m',
    '.5': '500m',
  };
  for (const [one, other] of Object.entries(cases)) {
    assert.notEqual(parseQuantity(one), undefined);
    assert.equal(parseQuantity(one), parseQuantity(other), one);
  }
});

test('what is no quantity is none', () => {
  for (const text of ['', 'x', '1x', '1 Gi', '1..5', 'Gi', '1KI', '--1']) {
    assert.equal(parseQuantity(text), undefined, text);
  }
});

test('quantities in different units compare by what they are', () => {
  assert.equal(parseQuantity('1Gi'), parseQuantity('1024Mi'));
  assert.ok((parseQuantity('1G') ?? 0n) < (parseQuantity('1Gi') ?? 0n));
});

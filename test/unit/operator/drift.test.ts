import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fingerprint, hasDrifted } from '../../../src/operator/drift.ts';
import { quantityValue } from '../../../src/operator/quantity.ts';

const cases: readonly (readonly [name: string, desired: unknown, live: unknown, drifted: boolean])[] = [
  ['the same', { a: 1 }, { a: 1 }, false],
  ['a field of somebody else', { a: 1 }, { a: 1, b: 2 }, false],
  ['another value', { a: 1 }, { a: 2 }, true],
  ['a missing field', { a: { b: 1 } }, {}, true],
  ['an empty object that the API server leaves out', { a: {} }, {}, false],
  [
    'an empty text that the API server leaves out',
    { env: [{ name: 'A', value: '' }] },
    { env: [{ name: 'A' }] },
    false,
  ],
  [
    'an empty text in place of another',
    { env: [{ name: 'A', value: '' }] },
    { env: [{ name: 'A', value: 'x' }] },
    true,
  ],
  [
    'an empty value in a map, which is something',
    { metadata: { labels: { a: '' } } },
    { metadata: {} },
    true,
  ],
  ['an empty value in a map that has others', { data: { a: '' } }, { data: { b: '' } }, true],
  ['an empty object in place of a value', { a: {} }, { a: 1 }, true],
  ['a list of plain values', { a: ['x', 'y'] }, { a: ['x', 'y'] }, false],
  ['a list of plain values, longer', { a: ['x'] }, { a: ['x', 'y'] }, true],
  ['a list of plain values, in another order', { a: ['x', 'y'] }, { a: ['y', 'x'] }, true],
  ['a list of objects with defaults', { a: [{ name: 'x' }] }, { a: [{ name: 'x', protocol: 'TCP' }] }, false],
  [
    'a list of objects with one of somebody else',
    { a: [{ name: 'x' }] },
    { a: [{ name: 'y' }, { name: 'x' }] },
    false,
  ],
  ['a list of objects with a change', { a: [{ name: 'x', port: 1 }] }, { a: [{ name: 'x', port: 2 }] }, true],
  ['a list of objects that is gone', { a: [{ name: 'x' }] }, {}, true],
  [
    'quantities written another way',
    { requests: { memory: '1024Mi', cpu: '0.5' } },
    { requests: { memory: '1Gi', cpu: '500m' } },
    false,
  ],
  [
    'a single quantity written another way',
    { emptyDir: { sizeLimit: '5Gi' } },
    { emptyDir: { sizeLimit: '5120Mi' } },
    false,
  ],
  ['another quantity', { limits: { memory: '1Gi' } }, { limits: { memory: '2Gi' } }, true],
];

for (const [name, desired, live, drifted] of cases) {
  test(`${drifted ? 'drift is seen in' : 'no drift is seen in'} ${name}`, () => {
    assert.equal(hasDrifted(desired, live), drifted);
  });
}

test('a fingerprint changes with the content and not with the order of keys', () => {
  assert.equal(fingerprint({ a: 1, b: [{ c: 2, d: 3 }] }), fingerprint({ b: [{ d: 3, c: 2 }], a: 1 }));
  assert.notEqual(fingerprint({ a: 1 }), fingerprint({ a: 2 }));
  assert.notEqual(fingerprint({ a: 1, b: 1 }), fingerprint({ a: 1 }));
});

test('quantities are numbers', () => {
  for (const [text, value] of [
    ['1', 1],
    ['0.5', 0.5],
    ['500m', 0.5],
    ['1Ki', 1024],
    ['1.5Gi', 1.5 * 2 ** 30],
    ['2k', 2000],
    ['1e3', 1000],
    ['1E', 1e18],
    ['12E2', 1200],
    [7, 7],
  ] as const) {
    assert.equal(quantityValue(text), value, String(text));
  }
  for (const text of ['', 'Gi', '1GiB', 'x', undefined, null]) assert.equal(quantityValue(text), undefined);
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { digestOf } from '../../../../src/oci/digest.ts';
import { DataList } from '../../../../src/registry/collect/data-list.ts';
import { DigestList } from '../../../../src/registry/collect/digest-list.ts';
import { PathSet } from '../../../../src/registry/collect/path-set.ts';
import { ReferenceCache } from '../../../../src/registry/collect/reference-cache.ts';

test('a set of paths says of any path what a Set of strings says', () => {
  fc.assert(
    fc.property(fc.array(fc.string(), { maxLength: 3000 }), fc.array(fc.string()), (added, asked) => {
      const set = new PathSet();
      for (const path of added) set.add(path);
      const plain = new Set(added);
      assert.equal(set.size, plain.size);
      for (const path of [...added, ...asked]) assert.equal(set.has(path), plain.has(path));
    }),
    { numRuns: 50 },
  );
});

test('a list of digests gives back what was put in, of both algorithms', () => {
  const digests = Array.from({ length: 500 }, (_, index) =>
    digestOf(Buffer.from(String(index)), index % 3 === 0 ? 'sha512' : 'sha256'),
  );
  const list = new DigestList();
  for (const digest of digests) list.push(digest);
  assert.equal(list.length, 500);
  assert.deepEqual([...list], digests);
});

test('a list of data gives back every digest with its size', () => {
  const data = Array.from({ length: 20_000 }, (_, index) => ({
    digest: digestOf(Buffer.from(String(index))),
    size: index * 1e6,
  }));
  const list = new DataList();
  for (const one of data) list.push(one);
  assert.equal(list.length, 20_000);
  assert.equal(list.bytes, 1e6 * 10_000 * 19_999);
  assert.deepEqual([...list], data);
});

test('references are remembered whole', () => {
  const [a, b, c] = ['a', 'b', 'c'].map((text) => digestOf(Buffer.from(text)));
  assert.ok(a && b && c);
  const cache = new ReferenceCache();
  cache.set(a, { blobs: [b, c], manifests: [], subject: c });
  cache.set(b, { blobs: [], manifests: [a] });
  assert.deepEqual(cache.get(a), { blobs: [b, c], manifests: [], subject: c });
  assert.deepEqual(cache.get(b), { blobs: [], manifests: [a] });
  assert.equal(cache.get(c), undefined);
});

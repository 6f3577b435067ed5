import assert from 'node:assert/strict';
import { test } from 'node:test';
import { RegistryError } from '../../../../src/registry/errors.ts';
import { parseRoute } from '../../../../src/registry/http/route.ts';

const digest = `sha256:${'a'.repeat(64)}`;
const id = '0198c0de-0000-8000-8000-000000000000';

test('what follows /v2/ names one thing of the API', () => {
  const cases: readonly (readonly [string, object | undefined])[] = [
    ['', { kind: 'base' }],
    ['_catalog', { kind: 'catalog' }],
    ['a/b/tags/list', { kind: 'tags', repository: 'a/b' }],
    ['a/b/c/manifests/latest', { kind: 'manifest', repository: 'a/b/c', reference: 'latest' }],
    [`a/manifests/${digest}`, { kind: 'manifest', repository: 'a', reference: digest }],
    [`a/manifests/${digest.replace(':', '%3A')}`, { kind: 'manifest', repository: 'a', reference: digest }],
    [`a/blobs/${digest}`, { kind: 'blob', repository: 'a', digest }],
    ['a/blobs/uploads/', { kind: 'uploads', repository: 'a' }],
    ['a/blobs/uploads', { kind: 'uploads', repository: 'a' }],
    [`a/blobs/uploads/${id}`, { kind: 'upload', repository: 'a', id }],
    [`a/referrers/${digest}`, { kind: 'referrers', repository: 'a', digest }],
    ['a/blobs/uploads/manifests/x', { kind: 'manifest', repository: 'a/blobs/uploads', reference: 'x' }],
    ['manifests/manifests/manifests', { kind: 'manifest', repository: 'manifests', reference: 'manifests' }],
    ['a', undefined],
    ['a/b', undefined],
    ['tags/list', undefined],
    [`a/uploads/${id}`, undefined],
    ['a/manifests/', undefined],
  ];
  for (const [path, expected] of cases) {
    if (expected === undefined) assert.ok(isRefused(path), path);
    else assert.deepEqual(parseRoute(path), expected, path);
  }
});

function isRefused(path: string): boolean {
  try {
    return parseRoute(path) === undefined;
  } catch (error) {
    return error instanceof RegistryError;
  }
}

test('names, digests, tags and upload ids are checked', () => {
  const cases: readonly (readonly [string, string])[] = [
    ['A/tags/list', 'NAME_INVALID'],
    ['a//b/tags/list', 'NAME_INVALID'],
    ['../x/tags/list', 'NAME_INVALID'],
    ['a%2f..%2fb/tags/list', 'NAME_INVALID'],
    ['%zz/tags/list', 'NAME_INVALID'],
    ['manifests/latest', 'NAME_INVALID'],
    [`${'a/'.repeat(128)}a/tags/list`, 'NAME_INVALID'],
    ['a/manifests/sha256:abc', 'DIGEST_INVALID'],
    ['a/manifests/-x', 'TAG_INVALID'],
    [`a/manifests/${'x'.repeat(129)}`, 'TAG_INVALID'],
    ['a/blobs/latest', 'DIGEST_INVALID'],
    [`a/blobs/sha384:${'a'.repeat(96)}`, 'DIGEST_INVALID'],
    ['a/referrers/x', 'DIGEST_INVALID'],
    ['a/blobs/uploads/x', 'BLOB_UPLOAD_UNKNOWN'],
    ['a/blobs/uploads/..', 'BLOB_UPLOAD_UNKNOWN'],
  ];
  for (const [path, code] of cases)
    assert.throws(() => parseRoute(path), { name: 'RegistryError', code }, path);
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { OssAddress } from '../../../../../src/registry/storage/oss/oss-address.ts';

const usual = { bucket: 'b', region: 'oss-cn-beijing', endpoint: undefined, internal: false, secure: true };

test('the bucket stands in the name of the host, inside of Alibaba and outside', () => {
  for (const [changes, url] of [
    [{}, 'https://b.oss-cn-beijing.aliyuncs.com/a/x%2By?uploads'],
    [{ internal: true }, 'https://b.oss-cn-beijing-internal.aliyuncs.com/a/x%2By?uploads'],
    [{ secure: false }, 'http://b.oss-cn-beijing.aliyuncs.com/a/x%2By?uploads'],
    [{ endpoint: 'images.example.com' }, 'https://images.example.com/a/x%2By?uploads'],
    [
      { endpoint: 'http://images.example.com/', internal: true },
      'https://images.example.com/a/x%2By?uploads',
    ],
  ] as const) {
    const address = new OssAddress({ ...usual, ...changes });
    assert.equal(address.url('a/x+y', 'uploads').href, url);
    assert.equal(address.isSecure, url.startsWith('https'));
  }
});

test('a copy names its source with the bucket', () => {
  assert.equal(new OssAddress(usual).copySource('a/x+y'), '/b/a/x%2By');
});

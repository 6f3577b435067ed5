import assert from 'node:assert/strict';
import { test } from 'node:test';
import { tempUrl } from '../../../../../src/registry/storage/swift/temp-url.ts';

const object = new URL('http://store.example/v1/AUTH_account/container/object');

// The signatures were made with openssl.
test('a temporary URL carries the signature of its method, its end and its path', () => {
  const url = tempUrl(object, 'GET', 1_323_479_485, { secret: 'mykey', digest: 'sha1' });
  assert.equal(
    url.href,
    `${object.href}?temp_url_sig=d9fc2067e52b06598421664cf6610bfc8fc431f6&temp_url_expires=1323479485`,
  );
});

test('the path is signed as the store reads it, not as the URL writes it', () => {
  const spaced = new URL('http://store.example/swift/v1/registry/files/a%20b');
  const url = tempUrl(spaced, 'DELETE', 1_323_479_485, { secret: 'mykey', digest: 'sha256' });
  assert.equal(url.pathname, '/swift/v1/registry/files/a%20b');
  assert.equal(
    url.searchParams.get('temp_url_sig'),
    '5fd9a881134cc7dfd2c19d149bd992062c6652e10c910374ff49c4a27678740f',
  );
});

test('HP Cloud wants to know who signs', () => {
  const url = tempUrl(object, 'GET', 1_323_479_485, {
    secret: 'mykey',
    digest: 'sha1',
    signer: 'tenant:access',
  });
  assert.equal(
    url.searchParams.get('temp_url_sig'),
    'tenant:access:d9fc2067e52b06598421664cf6610bfc8fc431f6',
  );
});

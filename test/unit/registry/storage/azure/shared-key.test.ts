import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { test } from 'node:test';
import { signWithSharedKey, stringToSign } from '../../../../../src/registry/storage/azure/shared-key.ts';

// The examples of https://learn.microsoft.com/rest/api/storageservices/authorize-with-shared-key

test("a request is signed as in Microsoft's example", () => {
  const text = stringToSign(
    {
      method: 'GET',
      url: new URL(
        'https://myaccount.blob.core.windows.net/mycontainer?restype=container&comp=metadata&timeout=20',
      ),
      headers: { 'x-ms-version': '2015-02-21', 'x-ms-date': 'Fri, 26 Jun 2015 23:39:12 GMT' },
    },
    'myaccount',
  );
  assert.equal(
    text,
    'GET\n\n\n\n\n\n\n\n\n\n\n\nx-ms-date:Fri, 26 Jun 2015 23:39:12 GMT\nx-ms-version:2015-02-21\n/myaccount/mycontainer\ncomp:metadata\nrestype:container\ntimeout:20',
  );
});

test('length, type and range of a request are signed, an empty body as none', () => {
  const request = {
    method: 'PUT',
    url: new URL('http://127.0.0.1:10000/account/container/a%20b'),
    headers: { 'content-type': 'text/plain', range: 'bytes=1-2', 'x-ms-date': 'now' },
  } as const;
  const tail = 'x-ms-date:now\n/account/account/container/a%20b';
  assert.equal(
    stringToSign({ ...request, body: 'ä' }, 'account'),
    `PUT\n\n\n2\n\ntext/plain\n\n\n\n\n\nbytes=1-2\n${tail}`,
  );
  assert.equal(
    stringToSign({ ...request, body: Buffer.alloc(0) }, 'account'),
    `PUT\n\n\n\n\ntext/plain\n\n\n\n\n\nbytes=1-2\n${tail}`,
  );
});

test('the header names the account, and has an HMAC by the key that Base64 stands for', () => {
  const request = { method: 'GET', url: new URL('http://host/a'), headers: {} } as const;
  const key = Buffer.from('key').toString('base64');
  const expected = createHmac('sha256', 'key').update(stringToSign(request, 'me')).digest('base64');
  assert.deepEqual(signWithSharedKey(request, { account: 'me', key }).headers, {
    authorization: `SharedKey me:${expected}`,
  });
});

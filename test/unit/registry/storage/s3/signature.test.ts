import assert from 'node:assert/strict';
import { hash } from 'node:crypto';
import { describe, test } from 'node:test';
import { SignatureV2 } from '../../../../../src/registry/storage/s3/signature-v2.ts';
import {
  EMPTY_HASH,
  encodeRfc3986,
  SignatureV4,
} from '../../../../../src/registry/storage/s3/signature-v4.ts';

// The examples of Amazon's documentation: "Signature Calculations for the Authorization Header" and "Authenticating
// Requests: Using Query Parameters", and "Signing and Authenticating REST Requests" for version 2.
const credentials = {
  accessKeyId: 'AKIAIOSFODNN7EXAMPLE',
  secretAccessKey: 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY',
};
const date = Date.UTC(2013, 4, 24);
const host = 'https://examplebucket.s3.amazonaws.com';

describe('a signature of version 4', () => {
  const signature = new SignatureV4({ region: 'us-east-1', service: 's3' });
  const examples = {
    'reading a range': {
      request: {
        method: 'GET',
        url: new URL(`${host}/test.txt`),
        headers: { range: 'bytes=0-9', 'x-amz-content-sha256': EMPTY_HASH },
      },
      names: 'host;range;x-amz-content-sha256;x-amz-date',
      expected: 'f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41',
    },
    'writing an object': {
      request: {
        method: 'PUT',
        url: new URL(`${host}/${encodeRfc3986('test$file.text')}`),
        headers: {
          date: 'Fri, 24 May 2013 00:00:00 GMT',
          'x-amz-storage-class': 'REDUCED_REDUNDANCY',
          'x-amz-content-sha256': hash('sha256', 'Welcome to Amazon S3.'),
        },
      },
      names: 'date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class',
      expected: '98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd',
    },
    'a parameter without a value': {
      request: {
        method: 'GET',
        url: new URL(`${host}/?lifecycle`),
        headers: { 'x-amz-content-sha256': EMPTY_HASH },
      },
      names: 'host;x-amz-content-sha256;x-amz-date',
      expected: 'fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543',
    },
    'a list': {
      request: {
        method: 'GET',
        url: new URL(`${host}/?prefix=J&max-keys=2`),
        headers: { 'x-amz-content-sha256': EMPTY_HASH },
      },
      names: 'host;x-amz-content-sha256;x-amz-date',
      expected: '34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7',
    },
  } as const;
  for (const [title, { request, names, expected }] of Object.entries(examples)) {
    test(`is Amazon's for ${title}`, () => {
      const scope = 'AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request';
      assert.equal(
        signature.sign(request, credentials, date).headers?.['authorization'],
        `AWS4-HMAC-SHA256 Credential=${scope}, SignedHeaders=${names}, Signature=${expected}`,
      );
    });
  }

  test("is Amazon's for a URL that others may use", () => {
    const url = signature.presign({ method: 'GET', url: new URL(`${host}/test.txt`) }, credentials, {
      date,
      seconds: 86_400,
    });
    assert.equal(
      url.href,
      `${host}/test.txt?X-Amz-Algorithm=AWS4-HMAC-SHA256` +
        '&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request' +
        '&X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host' +
        '&X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404',
    );
  });

  test('goes with the token of a session', () => {
    const session = { ...credentials, sessionToken: 'token+/=' };
    const request = { method: 'GET', url: new URL(`${host}/test.txt`) } as const;
    const { headers } = signature.sign(request, session, date);
    assert.equal(headers?.['x-amz-security-token'], 'token+/=');
    assert.match(headers?.['authorization'] ?? '', /SignedHeaders=host;x-amz-date;x-amz-security-token,/);
    const url = signature.presign(request, session, { date, seconds: 60 });
    assert.equal(url.searchParams.get('X-Amz-Security-Token'), 'token+/=');
  });

  test('is another one the next day, and with another secret', () => {
    const request = { method: 'GET', url: new URL(`${host}/test.txt`) } as const;
    const sign = (secretAccessKey: string, day: number): string | undefined =>
      signature
        .sign(request, { ...credentials, secretAccessKey }, date + day * 86_400_000)
        .headers?.['authorization']?.split('=')
        .at(-1);
    const signatures = [sign('one', 0), sign('one', 1), sign('other', 1), sign('one', 0)];
    assert.equal(new Set(signatures).size, 3);
    assert.equal(signatures[0], signatures[3]);
  });
});

describe('a signature of version 2', () => {
  const signature = new SignatureV2((url) => `/johnsmith${url.pathname}`);
  const url = new URL('https://johnsmith.s3.amazonaws.com/photos/puppy.jpg');

  test("is Amazon's for a URL that others may use", () => {
    const validity = { date: 1_175_139_620_000 - 60_000, seconds: 60 };
    assert.equal(
      signature.presign({ method: 'GET', url }, credentials, validity).search,
      '?AWSAccessKeyId=AKIAIOSFODNN7EXAMPLE&Expires=1175139620&Signature=NpgCjnDzrM%2BWFzoENXmpNDUsSn8%3D',
    );
  });

  test('goes with the token of a session', () => {
    const session = { ...credentials, sessionToken: 'token' };
    const request = { method: 'GET', url } as const;
    assert.equal(signature.sign(request, session, date).headers?.['x-amz-security-token'], 'token');
    const presigned = signature.presign(request, session, { date, seconds: 60 });
    assert.equal(presigned.searchParams.get('x-amz-security-token'), 'token');
  });
});

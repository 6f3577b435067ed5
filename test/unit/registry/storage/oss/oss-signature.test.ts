import assert from 'node:assert/strict';
import { test } from 'node:test';
import { OssSignature } from '../../../../../src/registry/storage/oss/oss-signature.ts';
import { encodeKey } from '../../../../../src/registry/storage/s3/s3-address.ts';

/*
 * Alibaba's own vectors: github.com/aliyun/alibabacloud-oss-go-sdk-v2, oss/signer/signer_test.go (TestV4AuthHeader,
 * TestV4AuthHeaderToken, TestV4AuthQuery, TestV4AuthQueryToken).
 */
const signature = new OssSignature({ bucket: 'bucket', region: 'oss-cn-hangzhou' });
const credentials = { accessKeyId: 'ak', secretAccessKey: 'sk' };
const url = new URL(
  `http://bucket.oss-cn-hangzhou.aliyuncs.com/${encodeKey('1234+-/123/1.txt')}?param1=value1&%2Bparam1=value3&%7Cparam1=value4&%2Bparam2=&%7Cparam2=&param2=`,
);
const headers = { 'x-oss-head1': 'value', abc: 'value', zabc: 'value', xyz: 'value' };

test("a request has the signature of Alibaba's vector", () => {
  const signed = signature.sign(
    { method: 'PUT', url, headers: { ...headers, 'content-type': 'text/plain' } },
    credentials,
    1_702_743_657_000,
  );
  assert.equal(
    signed.headers?.['authorization'],
    'OSS4-HMAC-SHA256 Credential=ak/20231216/cn-hangzhou/oss/aliyun_v4_request,Signature=e21d18daa82167720f9b1047ae7e7f1ce7cb77a31e8203a7d5f4624fa0284afe',
  );
});

test("a request with a session token has the signature of Alibaba's vector", () => {
  const signed = signature.sign(
    { method: 'PUT', url, headers: { ...headers, 'content-type': 'text/plain' } },
    { ...credentials, sessionToken: 'token' },
    1_702_784_856_000,
  );
  assert.match(
    signed.headers?.['authorization'] ?? '',
    /Signature=b94a3f999cf85bcdc00d332fbd3734ba03e48382c36fa4d5af5df817395bd9ea$/,
  );
});

test("a URL has the signature of Alibaba's vector", () => {
  for (const [sessionToken, date, expected] of [
    [undefined, 1_702_781_677_000, 'a39966c61718be0d5b14e668088b3fa07601033f6518ac7b523100014269c0fe'],
    ['token', 1_702_785_388_000, '3817ac9d206cd6dfc90f1c09c00be45005602e55898f26f5ddb06d7892e1f8b5'],
  ] as const) {
    const { searchParams } = signature.presign(
      { method: 'PUT', url, headers: { ...headers, 'content-type': 'application/octet-stream' } },
      { ...credentials, ...(sessionToken && { sessionToken }) },
      { date, seconds: 599 },
    );
    assert.equal(searchParams.get('x-oss-signature'), expected);
    assert.equal(searchParams.get('x-oss-expires'), '599');
    assert.equal(searchParams.get('x-oss-credential'), 'ak/20231217/cn-hangzhou/oss/aliyun_v4_request');
  }
});

test("headers of S3 become those of OSS, and the payload's hash is left out", () => {
  const signed = signature.sign(
    {
      method: 'GET',
      url,
      headers: { 'x-amz-copy-source': '/bucket/a', 'x-amz-content-sha256': 'abc', range: 'bytes=1-2' },
    },
    credentials,
    0,
  );
  const { authorization: _, ...others } = signed.headers ?? {};
  assert.deepEqual(others, {
    'x-oss-copy-source': '/bucket/a',
    'x-oss-content-sha256': 'UNSIGNED-PAYLOAD',
    'x-oss-date': '19700101T000000Z',
    range: 'bytes=1-2',
    'x-oss-range-behavior': 'standard',
  });
});

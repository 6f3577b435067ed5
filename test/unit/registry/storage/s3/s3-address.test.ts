import assert from 'node:assert/strict';
import { test } from 'node:test';
import { S3Address, type S3AddressOptions } from '../../../../../src/registry/storage/s3/s3-address.ts';
import { s3Options } from '../../../../support/s3-options.ts';

const plain: S3AddressOptions = {
  bucket: 'images',
  region: 'eu-central-1',
  regionendpoint: undefined,
  forcepathstyle: undefined,
  secure: true,
  usedualstack: false,
  accelerate: false,
  usefipsendpoint: false,
};

const cases: readonly (readonly [Partial<S3AddressOptions>, string])[] = [
  [{}, 'https://images.s3.eu-central-1.amazonaws.com/a/b'],
  [{ forcepathstyle: true }, 'https://s3.eu-central-1.amazonaws.com/images/a/b'],
  [{ secure: false }, 'http://images.s3.eu-central-1.amazonaws.com/a/b'],
  [{ usedualstack: true }, 'https://images.s3.dualstack.eu-central-1.amazonaws.com/a/b'],
  [{ usefipsendpoint: true }, 'https://images.s3-fips.eu-central-1.amazonaws.com/a/b'],
  [
    { usefipsendpoint: true, usedualstack: true },
    'https://images.s3-fips.dualstack.eu-central-1.amazonaws.com/a/b',
  ],
  [{ accelerate: true }, 'https://images.s3-accelerate.amazonaws.com/a/b'],
  [{ accelerate: true, usedualstack: true }, 'https://images.s3-accelerate.dualstack.amazonaws.com/a/b'],
  [{ region: 'cn-north-1' }, 'https://images.s3.cn-north-1.amazonaws.com.cn/a/b'],
  // A dot would not fit the certificate, and other names are none of a host.
  [{ bucket: 'my.images' }, 'https://s3.eu-central-1.amazonaws.com/my.images/a/b'],
  [{ bucket: 'my.images', secure: false }, 'http://my.images.s3.eu-central-1.amazonaws.com/a/b'],
  [{ bucket: 'My_Images' }, 'https://s3.eu-central-1.amazonaws.com/My_Images/a/b'],
  [{ regionendpoint: 'http://minio:9000' }, 'http://minio:9000/images/a/b'],
  [{ regionendpoint: 'minio:9000' }, 'https://minio:9000/images/a/b'],
  [{ regionendpoint: 'minio:9000', secure: false }, 'http://minio:9000/images/a/b'],
  [{ regionendpoint: 'https://store/s3/' }, 'https://store/s3/images/a/b'],
  [{ regionendpoint: 'https://store:8443', forcepathstyle: false }, 'https://images.store:8443/a/b'],
];

for (const [options, url] of cases) {
  test(`with ${JSON.stringify(options)} an object is at ${url}`, () => {
    assert.equal(new S3Address({ ...plain, ...options }).url('a/b').href, url);
  });
}

test('keys are escaped, in URLs and as the source of a copy', () => {
  const address = new S3Address(plain);
  assert.equal(address.url("a b/+ü'(%").pathname, '/a%20b/%2B%C3%BC%27%28%25');
  assert.equal(address.copySource('a b/c'), 'images/a%20b/c');
});

test('what a configuration says of the address counts', () => {
  const region = 'eu-central-1';
  const urlOf = (options: object): string =>
    new S3Address({ ...s3Options({ bucket: 'images', region, ...options }), region }).url('a').href;
  assert.equal(urlOf({ secure: false }), 'http://images.s3.eu-central-1.amazonaws.com/a');
  assert.equal(urlOf({ forcepathstyle: true }), 'https://s3.eu-central-1.amazonaws.com/images/a');
  assert.equal(urlOf({ usedualstack: true }), 'https://images.s3.dualstack.eu-central-1.amazonaws.com/a');
});

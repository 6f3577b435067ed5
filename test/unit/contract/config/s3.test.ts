import assert from 'node:assert/strict';
import { test } from 'node:test';
import { effectiveConfig } from '../../../../src/contract/config/effective.ts';
import { parseConfig, type ParsedConfig } from '../../../../src/contract/config/config.ts';

function parse(s3: Readonly<Record<string, unknown>>, name = 's3'): ParsedConfig {
  return parseConfig(JSON.stringify({ version: '0.1', http: { addr: ':5000' }, storage: { [name]: s3 } }));
}

const amazon = { bucket: 'images', region: 'eu-central-1' };
const other = { bucket: 'images', regionendpoint: 'https://minio:9000' };

test("s3 has docker distribution's defaults", () => {
  const { config, errors } = parse(amazon);
  assert.deepEqual(errors, []);
  assert.deepEqual(config?.storage.s3, {
    ...amazon,
    regionendpoint: undefined,
    forcepathstyle: undefined,
    accesskey: undefined,
    secretkey: undefined,
    secure: true,
    skipverify: false,
    v4auth: true,
    usedualstack: false,
    accelerate: false,
    usefipsendpoint: false,
    redirectendpoint: undefined,
    rootdirectory: '',
    encrypt: false,
    keyid: undefined,
    storageclass: 'standard',
    objectacl: 'private',
    chunksize: 10_485_760,
    multipartcopychunksize: 33_554_432,
    multipartcopymaxconcurrency: 100,
    multipartcopythresholdsize: 33_554_432,
    useragent: '',
    loglevel: 'off',
  });
});

test('s3aws is another name of s3', () => {
  assert.equal(parse(amazon, 's3aws').config?.storage.s3?.bucket, 'images');
});

test('the secret key is not shown', () => {
  const { config } = parse({ ...amazon, accesskey: 'AKIA', secretkey: 'very secret' });
  assert.ok(config);
  assert.ok(!JSON.stringify(effectiveConfig(config)).includes('very secret'));
});

for (const [options, path, message] of [
  [{ region: 'eu-central-1' }, 'bucket', /is required/],
  [{ bucket: 'images' }, 'region', /is required without a regionendpoint/],
  [{ ...amazon, accesskey: 'AKIA' }, 'secretkey', /is required with the other key/],
  [{ ...amazon, secretkey: 'secret' }, 'accesskey', /is required with the other key/],
  [{ ...amazon, v4auth: false }, 'v4auth', /must be true on Amazon S3/],
  [
    { ...other, regionendpoint: 'https://s3.amazonaws.com', v4auth: false },
    'v4auth',
    /must be true on Amazon S3/,
  ],
  [{ ...other, regionendpoint: 'https://' }, 'regionendpoint', /must be a host or a URL/],
  [{ ...other, redirectendpoint: 'https://cdn/path' }, 'redirectendpoint', /without path and query/],
  [{ ...other, redirectendpoint: 'cdn.example.com' }, 'redirectendpoint', /must be a URL/],
  [{ ...other, accelerate: true }, 'accelerate', /cannot be had with regionendpoint/],
  [{ ...amazon, accelerate: true, usefipsendpoint: true }, 'accelerate', /cannot be had/],
  [{ ...amazon, accelerate: true, bucket: 'my.images' }, 'accelerate', /without dots/],
  [{ ...amazon, chunksize: 5_242_879 }, 'chunksize', /5242880 to 5368709120/],
  [{ ...amazon, multipartcopymaxconcurrency: 0 }, 'multipartcopymaxconcurrency', /1 or more/],
  [{ ...amazon, storageclass: 'GLACIER' }, 'storageclass', /must be standard, none/],
  [{ ...amazon, objectacl: 'secret' }, 'objectacl', /must be private, public-read/],
] as const) {
  test(`s3 with ${JSON.stringify(options)} is refused at ${path}`, () => {
    const { errors } = parse(options);
    assert.deepEqual(
      errors.map((error) => error.path),
      [`storage.s3.${path}`],
    );
    assert.match(errors[0]?.message ?? '', message);
  });
}

test('s3 takes what docker distribution takes', () => {
  for (const options of [
    { ...other, v4auth: false },
    { ...other, storageclass: 'Standard_IA', loglevel: 'false' },
    { ...amazon, secure: 'yes', loglevel: 'DebugWithSigning' },
  ]) {
    assert.deepEqual(parse(options).errors, []);
  }
});

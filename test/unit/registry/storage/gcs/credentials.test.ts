import assert from 'node:assert/strict';
import { createVerify, generateKeyPairSync } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import {
  defaultCredentials,
  fileCredentials,
  readCredentialFile,
  type CredentialDependencies,
} from '../../../../../src/registry/storage/gcs/credentials.ts';
import { StoreClient } from '../../../../../src/registry/storage/object-store/store-client.ts';
import { sleeplessClock, standInService } from '../../../../support/stand-in-service.ts';
import { withTemporaryFolder } from '../../../../support/temporary-folder.ts';

const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
const key = privateKey.export({ type: 'pkcs8', format: 'pem' });

function dependencies(
  t: TestContext,
  iam = 'http://127.0.0.1:1',
  environment: Record<string, string> = {},
): CredentialDependencies {
  const clock = sleeplessClock();
  const client = new StoreClient({ clock, environment: {}, retryDelay: () => undefined });
  t.after(() => client.close());
  return { clock, environment, client, local: client, iam: new URL(iam) };
}

const answer = { body: { access_token: 'token', expires_in: 3600 } };

test('a key of a service account proves itself with a signed assertion, and signs URLs itself', async (t) => {
  const service = await standInService(t, () => answer);
  const deps = dependencies(t);
  const { token, signer } = fileCredentials(
    {
      type: 'service_account',
      client_email: 'registry@example.com',
      private_key: key,
      private_key_id: 'id',
      token_uri: `${service.url}/token`,
    },
    deps,
  );
  assert.equal(await token.get(), 'token');
  assert.equal(await token.get(), 'token');
  assert.equal(service.received.length, 1);
  const form = new URLSearchParams(service.received[0]?.body);
  assert.equal(form.get('grant_type'), 'urn:ietf:params:oauth:grant-type:jwt-bearer');
  const [header = '', claims = '', signature = ''] = (form.get('assertion') ?? '').split('.');
  const now = deps.clock.now() / 1000;
  assert.deepEqual(decode(header), { alg: 'RS256', typ: 'JWT', kid: 'id' });
  assert.deepEqual(decode(claims), {
    iss: 'registry@example.com',
    scope: 'https://www.googleapis.com/auth/devstorage.full_control',
    aud: `${service.url}/token`,
    iat: now,
    exp: now + 3600,
  });
  const check = createVerify('RSA-SHA256').update(`${header}.${claims}`);
  assert.ok(check.verify(publicKey, signature, 'base64url'));
  const signed = (await signer?.sign('text')) ?? Buffer.alloc(0);
  assert.ok(createVerify('RSA-SHA256').update('text').verify(publicKey, signed));
  assert.equal(await signer?.email(), 'registry@example.com');
});

test('the file that GOOGLE_APPLICATION_CREDENTIALS names comes before that of gcloud', async (t) => {
  const service = await standInService(t, () => answer);
  const user = {
    type: 'authorized_user',
    client_id: 'id',
    client_secret: 'secret',
    token_uri: service.url,
  };
  await withTemporaryFolder(async (folder) => {
    await mkdir(join(folder, '.config/gcloud'), { recursive: true });
    const known = join(folder, '.config/gcloud/application_default_credentials.json');
    await writeFile(known, JSON.stringify({ ...user, refresh_token: "gcloud's" }));
    await writeFile(join(folder, 'named.json'), JSON.stringify({ ...user, refresh_token: 'named' }));
    for (const [environment, refreshToken] of [
      [{ GOOGLE_APPLICATION_CREDENTIALS: join(folder, 'named.json'), HOME: folder }, 'named'],
      [{ HOME: folder }, "gcloud's"],
      [{ CLOUDSDK_CONFIG: join(folder, '.config/gcloud') }, "gcloud's"],
    ] as const) {
      const { token, signer } = await defaultCredentials(dependencies(t, undefined, environment));
      assert.equal(await token.get(), 'token');
      assert.equal(signer, undefined);
      const form = new URLSearchParams(service.received.at(-1)?.body);
      assert.deepEqual(
        [form.get('grant_type'), form.get('refresh_token'), form.get('client_secret')],
        ['refresh_token', refreshToken, 'secret'],
      );
    }
  });
});

test('a pod or machine has the tokens of its metadata server, and Google signs for it', async (t) => {
  const metadata = await standInService(t, ({ path }) =>
    path.endsWith('/email') ? { body: 'pod@example.com\n' } : answer,
  );
  const iam = await standInService(t, () => ({
    body: { signedBlob: Buffer.from('signature').toString('base64') },
  }));
  const environment = { GCE_METADATA_HOST: new URL(metadata.url).host };
  const { token, signer } = await defaultCredentials(dependencies(t, iam.url, environment));
  assert.equal(await token.get(), 'token');
  assert.equal((await signer?.sign('text'))?.toString(), 'signature');
  assert.equal(await signer?.email(), 'pod@example.com');
  const base = '/computeMetadata/v1/instance/service-accounts/default';
  assert.deepEqual(
    metadata.received.map(({ path, headers }) => [path, headers['metadata-flavor']]),
    [
      [`${base}/token`, 'Google'],
      [`${base}/email`, 'Google'],
    ],
  );
  const [asked] = iam.received;
  assert.equal(asked?.path, '/v1/projects/-/serviceAccounts/pod@example.com:signBlob');
  assert.equal(asked.headers.authorization, 'Bearer token');
  assert.deepEqual(JSON.parse(asked.body), { payload: Buffer.from('text').toString('base64') });
});

test('a token of another cloud is exchanged, and a service account impersonated with it', async (t) => {
  const sts = await standInService(t, () => answer);
  const iam = await standInService(t, ({ path }) =>
    path.endsWith(':signBlob')
      ? { body: { signedBlob: '' } }
      : { body: { accessToken: 'impersonated', expireTime: new Date(Date.now() + 3600_000).toISOString() } },
  );
  const issuer = await standInService(t, () => ({ body: { id: { no: 1 }, value: 'from a URL' } }));
  await withTemporaryFolder(async (folder) => {
    const path = join(folder, 'token');
    await writeFile(path, 'from a file\n');
    const file = {
      type: 'external_account',
      audience: '//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p/providers/q',
      subject_token_type: 'urn:ietf:params:oauth:token-type:jwt',
      token_url: `${sts.url}/v1/token`,
      service_account_impersonation_url: `${iam.url}/v1/projects/-/serviceAccounts/registry@example.com:generateAccessToken`,
    };
    const json = { type: 'json', subject_token_field_name: 'value' };
    for (const [source, subject] of [
      [{ file: path }, 'from a file'],
      [{ url: issuer.url, headers: { metadata: 'yes' }, format: json }, 'from a URL'],
    ] as const) {
      const { token, signer } = fileCredentials(
        { ...file, credential_source: source },
        dependencies(t, iam.url),
      );
      assert.equal(await token.get(), 'impersonated');
      assert.equal(await token.get(), 'impersonated');
      await signer?.sign('text');
      const form = new URLSearchParams(sts.received.at(-1)?.body);
      assert.equal(form.get('grant_type'), 'urn:ietf:params:oauth:grant-type:token-exchange');
      assert.equal(form.get('subject_token'), subject);
      assert.equal(form.get('audience'), file.audience);
      assert.equal(iam.received.at(-2)?.headers.authorization, 'Bearer token');
      assert.equal(iam.received.at(-1)?.headers.authorization, 'Bearer impersonated');
    }
    assert.equal(issuer.received[0]?.headers['metadata'], 'yes');
    const alone = {
      ...file,
      service_account_impersonation_url: undefined,
      credential_source: { file: path },
    };
    const { token, signer } = fileCredentials(alone, dependencies(t));
    assert.deepEqual([await token.get(), signer], ['token', undefined]);
  });
});

test('credentials that cannot be used say why, and never what they are', async (t) => {
  const deps = dependencies(t);
  for (const [file, reason] of [
    [{ type: 'impersonated_service_account' }, /the type "impersonated_service_account" cannot be used/],
    [{ type: 'service_account', private_key: key }, /lack client_email/],
    [{ type: 'service_account', client_email: 'a@b', private_key: 'hidden' }, /is no key in PEM$/],
    [
      { type: 'external_account', audience: 'a', subject_token_type: 't', credential_source: {} },
      /must have a file or a url/,
    ],
  ] as const) {
    assert.throws(() => fileCredentials(file, deps), { message: reason });
  }
  await withTemporaryFolder(async (folder) => {
    await writeFile(join(folder, 'key.json'), 'secret: no JSON');
    await assert.rejects(readCredentialFile(join(folder, 'key.json')), (error: Error) => {
      assert.match(error.message, /key\.json are no JSON object/);
      assert.ok(!JSON.stringify(error).includes('secret'));
      return true;
    });
    await assert.rejects(readCredentialFile(join(folder, 'absent')), { message: /absent cannot be read/ });
  });
});

test('a token service that refuses is UNAVAILABLE, with its reason for the log', async (t) => {
  const service = await standInService(t, () => ({
    status: 400,
    body: { error: 'invalid_grant', error_description: 'Invalid JWT Signature.' },
  }));
  const file = { type: 'service_account', client_email: 'a@b', private_key: key, token_uri: service.url };
  await assert.rejects(fileCredentials(file, dependencies(t)).token.get(), (error: Error) => {
    assert.equal(error.message, 'the registry was refused an access token for its storage');
    assert.match(String(error.cause), /400 invalid_grant Invalid JWT Signature/);
    return true;
  });
});

function decode(part: string): unknown {
  return JSON.parse(Buffer.from(part, 'base64url').toString());
}

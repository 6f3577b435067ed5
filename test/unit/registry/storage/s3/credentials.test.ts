import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test, type TestContext } from 'node:test';
import type { Clock } from '../../../../../src/process/clock.ts';
import { StoreClient } from '../../../../../src/registry/storage/object-store/store-client.ts';
import type { Credentials } from '../../../../../src/registry/storage/s3/credentials.ts';
import { findCredentials } from '../../../../../src/registry/storage/s3/find-credentials.ts';
import {
  sleeplessClock,
  standInService,
  type ReceivedRequest,
} from '../../../../support/stand-in-service.ts';

// The services here are stand-ins: Amazon's Security Token Service, the agent of EKS Pod Identity and ECS, the instance
// metadata service.

type Environment = Readonly<Record<string, string>>;

const clock = sleeplessClock();
const inAnHour = new Date(clock.now() + 3600_000).toISOString();

function keeper(t: TestContext, environment: Environment, time: Clock = clock) {
  const client = new StoreClient({ clock: time, environment: {}, retryDelay: () => undefined });
  t.after(() => client.close());
  // No service of the machine that the tests run on.
  const alone = { AWS_EC2_METADATA_DISABLED: 'true', HOME: '/nowhere', ...environment };
  return findCredentials({
    region: 'eu-central-1',
    clock: time,
    environment: alone,
    client,
    local: client,
  });
}

function find(t: TestContext, environment: Environment): Promise<Credentials> {
  return keeper(t, environment).get();
}

function folderWith(t: TestContext, files: Readonly<Record<string, string>>): string {
  const folder = mkdtempSync(join(tmpdir(), 'credentials-'));
  t.after(() => rmSync(folder, { recursive: true }));
  for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text);
  return folder;
}

const session: Credentials = { accessKeyId: 'ASIA', secretAccessKey: 'secret', sessionToken: 'session' };

function roleAnswer(action: string, expiration = inAnHour): { body: string } {
  return {
    body: `<${action}Response><${action}Result><Credentials><AccessKeyId>ASIA</AccessKeyId>
      <SecretAccessKey>secret</SecretAccessKey><SessionToken>session</SessionToken>
      <Expiration>${expiration}</Expiration></Credentials></${action}Result></${action}Response>`,
  };
}

const metadataAnswer = {
  body: { AccessKeyId: 'ASIA', SecretAccessKey: 'secret', Token: 'session', Expiration: inAnHour },
};

function parametersOf(request: ReceivedRequest | undefined): Readonly<Record<string, string>> {
  return Object.fromEntries(new URL(request?.path ?? '', 'http://host').searchParams);
}

/** The log has the reason; clients are told that there was one. */
const because =
  (reason: RegExp) =>
  (error: unknown): boolean =>
    error instanceof Error && error.cause instanceof Error && reason.test(error.cause.message);

describe('credentials', () => {
  test('are keys of the environment, by the new names or the old ones', async (t) => {
    const keys = { AWS_ACCESS_KEY_ID: 'AKIA', AWS_SECRET_ACCESS_KEY: 'secret' };
    assert.deepEqual(await find(t, keys), { accessKeyId: 'AKIA', secretAccessKey: 'secret' });
    assert.equal((await find(t, { ...keys, AWS_SESSION_TOKEN: 'token' })).sessionToken, 'token');
    assert.deepEqual(await find(t, { AWS_ACCESS_KEY: 'AKIA', AWS_SECRET_KEY: 'secret' }), {
      accessKeyId: 'AKIA',
      secretAccessKey: 'secret',
    });
  });

  test('are those of a role for the token of a service account (IRSA)', async (t) => {
    const folder = folderWith(t, { token: 'service-account-token\n' });
    const sts = await standInService(t, () => roleAnswer('AssumeRoleWithWebIdentity'));
    const environment = {
      AWS_WEB_IDENTITY_TOKEN_FILE: join(folder, 'token'),
      AWS_ROLE_ARN: 'arn:aws:iam::1:role/registry',
      AWS_ENDPOINT_URL_STS: sts.url,
    };
    assert.deepEqual(await find(t, environment), session);
    assert.deepEqual(parametersOf(sts.received[0]), {
      Action: 'AssumeRoleWithWebIdentity',
      Version: '2011-06-15',
      RoleArn: 'arn:aws:iam::1:role/registry',
      RoleSessionName: 'stevedore-registry',
      WebIdentityToken: 'service-account-token',
    });
    assert.equal(sts.received[0]?.headers.authorization, undefined);
  });

  test('are asked for anew with the new token before they end', async (t) => {
    const folder = folderWith(t, { token: 'first' });
    const time = sleeplessClock();
    const ends = (): string => new Date(time.now() + 3600_000).toISOString();
    const sts = await standInService(t, () => roleAnswer('AssumeRoleWithWebIdentity', ends()));
    const environment = {
      AWS_WEB_IDENTITY_TOKEN_FILE: join(folder, 'token'),
      AWS_ROLE_ARN: 'arn:aws:iam::1:role/registry',
      AWS_ENDPOINT_URL_STS: sts.url,
    };
    const credentials = keeper(t, environment, time);
    await Promise.all([credentials.get(), credentials.get()]);
    await time.sleep(54 * 60_000);
    await credentials.get();
    assert.equal(sts.received.length, 1);
    writeFileSync(join(folder, 'token'), 'second');
    await time.sleep(2 * 60_000);
    await credentials.get();
    assert.deepEqual(
      sts.received.map((request) => parametersOf(request)['WebIdentityToken']),
      ['first', 'second'],
    );
  });

  test('say what the token service refused, and which file cannot be read', async (t) => {
    const folder = folderWith(t, { token: 'token' });
    const sts = await standInService(t, () => ({
      status: 403,
      body: '<ErrorResponse><Error><Code>AccessDenied</Code><Message>Not authorized</Message></Error></ErrorResponse>',
    }));
    const environment = {
      AWS_WEB_IDENTITY_TOKEN_FILE: join(folder, 'token'),
      AWS_ROLE_ARN: 'arn:aws:iam::1:role/registry',
      AWS_ENDPOINT_URL_STS: sts.url,
    };
    await assert.rejects(find(t, environment), because(/role\/registry: 403 AccessDenied Not authorized/));
    await assert.rejects(
      find(t, { ...environment, AWS_WEB_IDENTITY_TOKEN_FILE: '/no/such/token' }),
      because(/\/no\/such\/token: the web identity token cannot be read: .*ENOENT/),
    );
  });

  test('are those of the container, by an authorization from a file (EKS Pod Identity)', async (t) => {
    const folder = folderWith(t, { token: 'pod-token\n' });
    const agent = await standInService(t, () => metadataAnswer);
    assert.deepEqual(
      await find(t, {
        AWS_CONTAINER_CREDENTIALS_FULL_URI: `${agent.url}/v1/credentials`,
        AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE: join(folder, 'token'),
      }),
      session,
    );
    assert.equal(agent.received[0]?.path, '/v1/credentials');
    assert.equal(agent.received[0]?.headers.authorization, 'pod-token');
  });

  test('are never asked for at an address elsewhere without TLS', async (t) => {
    await assert.rejects(
      find(t, { AWS_CONTAINER_CREDENTIALS_FULL_URI: 'http://192.0.2.1/credentials' }),
      because(/must be https, or an address of this machine/),
    );
  });

  test('are those of the machine, by version 2 of its metadata service', async (t) => {
    const metadata = await standInService(t, ({ method, path, headers }) => {
      if (method === 'PUT') return { body: 'imds-token' };
      if (headers['x-aws-ec2-metadata-token'] !== 'imds-token') return { status: 401 };
      return path.endsWith('/security-credentials/') ? { body: 'registry-role\n' } : metadataAnswer;
    });
    const environment = {
      AWS_EC2_METADATA_DISABLED: 'false',
      AWS_EC2_METADATA_SERVICE_ENDPOINT: metadata.url,
    };
    // Its answer comes before the time for it is over.
    const patient = { ...clock, sleep: () => new Promise<void>(() => {}) };
    assert.deepEqual(await keeper(t, environment, patient).get(), session);
    assert.deepEqual(
      metadata.received.map(({ method, path }) => `${method} ${path}`),
      [
        'PUT /latest/api/token',
        'GET /latest/meta-data/iam/security-credentials/',
        'GET /latest/meta-data/iam/security-credentials/registry-role',
      ],
    );
    assert.equal(metadata.received[0]?.headers['x-aws-ec2-metadata-token-ttl-seconds'], '21600');
  });

  test('that are nowhere are told of with all places', async (t) => {
    const nobody = {
      AWS_EC2_METADATA_DISABLED: 'false',
      AWS_EC2_METADATA_SERVICE_ENDPOINT: 'http://127.0.0.1:1',
    };
    for (const environment of [{}, nobody]) {
      await assert.rejects(find(t, environment), because(/there are none: set accesskey and secretkey/));
    }
  });
});

describe('a profile of the shared files', () => {
  const files = {
    credentials: `
[default]
aws_access_key_id = AKIADEFAULT   # of the account
aws_secret_access_key=se=cret
[ops]
aws_access_key_id=AKIAOPS
aws_secret_access_key=secret
aws_session_token=token
[selfish]
aws_access_key_id=AKIASELF
aws_secret_access_key=secret
`,
    config: `
[default]
region = us-east-1
s3 =
  max_concurrent_requests = 20
  aws_access_key_id = AKIANESTED
[profile deploy]
role_arn = arn:aws:iam::1:role/deploy
source_profile = ops
external_id = external
role_session_name = me
[profile machine]
role_arn = arn:aws:iam::1:role/machine
credential_source = Environment
[profile selfish]
role_arn = arn:aws:iam::1:role/self
source_profile = selfish
[profile circle]
role_arn = arn:aws:iam::1:role/a
source_profile = round
[profile round]
role_arn = arn:aws:iam::1:role/b
source_profile = circle
[profile sso]
sso_session = company
[profile pod]
role_arn = arn:aws:iam::1:role/pod
web_identity_token_file = TOKEN
`,
  };

  function environmentWith(t: TestContext, profile?: string, sts = ''): Environment {
    const folder = folderWith(t, { token: 'pod-token', credentials: files.credentials });
    writeFileSync(join(folder, 'config'), files.config.replace('TOKEN', join(folder, 'token')));
    return {
      AWS_CONFIG_FILE: join(folder, 'config'),
      AWS_SHARED_CREDENTIALS_FILE: join(folder, 'credentials'),
      ...(profile !== undefined && { AWS_PROFILE: profile }),
      AWS_ENDPOINT_URL_STS: sts,
    };
  }

  test('has keys', async (t) => {
    assert.deepEqual(await find(t, environmentWith(t)), {
      accessKeyId: 'AKIADEFAULT',
      secretAccessKey: 'se=cret',
    });
    assert.deepEqual(await find(t, environmentWith(t, 'ops')), {
      accessKeyId: 'AKIAOPS',
      secretAccessKey: 'secret',
      sessionToken: 'token',
    });
  });

  test('has changed keys ten minutes after they changed', async (t) => {
    const time = sleeplessClock();
    const environment = environmentWith(t);
    const credentials = keeper(t, environment, time);
    await credentials.get();
    writeFileSync(
      environment['AWS_SHARED_CREDENTIALS_FILE'] ?? '',
      '[default]\naws_access_key_id=AKIANEW\naws_secret_access_key=new\n',
    );
    await time.sleep(10 * 60_000);
    assert.equal((await credentials.get()).accessKeyId, 'AKIANEW');
  });

  for (const [profile, role, accessKey, more] of [
    ['deploy', 'deploy', 'AKIAOPS', { ExternalId: 'external', RoleSessionName: 'me' }],
    ['selfish', 'self', 'AKIASELF', { RoleSessionName: 'stevedore-registry' }],
  ] as const) {
    test(`takes on a role with keys: ${profile}`, async (t) => {
      const sts = await standInService(t, () => roleAnswer('AssumeRole'));
      assert.deepEqual(await find(t, environmentWith(t, profile, sts.url)), session);
      const [request] = sts.received;
      assert.deepEqual(parametersOf(request), {
        Action: 'AssumeRole',
        Version: '2011-06-15',
        RoleArn: `arn:aws:iam::1:role/${role}`,
        ...more,
      });
      const scope = `Credential=${accessKey}/20260101/eu-central-1/sts/aws4_request`;
      assert.ok(request?.headers.authorization?.includes(scope));
    });
  }

  test('takes on a role by a web identity', async (t) => {
    const sts = await standInService(t, () => roleAnswer('AssumeRoleWithWebIdentity'));
    assert.deepEqual(await find(t, environmentWith(t, 'pod', sts.url)), session);
    assert.equal(parametersOf(sts.received[0])['WebIdentityToken'], 'pod-token');
  });

  for (const [profile, reason] of [
    ['absent', /the profile absent: is not in the shared files/],
    ['sso', /gets its credentials by sso_session, which the registry does not know/],
    ['circle', /is its own source/],
    ['machine', /has nothing to take on the role arn:aws:iam::1:role\/machine with/],
  ] as const) {
    test(`that cannot give any says why: ${profile}`, async (t) => {
      await assert.rejects(find(t, environmentWith(t, profile)), because(reason));
    });
  }
});

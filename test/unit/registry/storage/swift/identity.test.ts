import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { detectAuthVersion } from '../../../../../src/contract/config/swift-section.ts';
import { StoreClient } from '../../../../../src/registry/storage/object-store/store-client.ts';
import { logIn, type Login } from '../../../../../src/registry/storage/swift/identity.ts';
import { startKeystoneStandIn, type StorageEndpoint } from '../../../../support/keystone-stand-in.ts';
import { sleeplessClock, standInService, type StandInService } from '../../../../support/stand-in-service.ts';
import { swiftOptions } from '../../../../support/swift-options.ts';

const client = new StoreClient({ clock: sleeplessClock(), retryDelay: () => undefined, environment: {} });

const storage: readonly StorageEndpoint[] = [
  { region: 'RegionOne', kind: 'public', url: 'http://one.example/v1/AUTH_a/' },
  { region: 'RegionOne', kind: 'internal', url: 'http://one.internal/v1/AUTH_a' },
  { region: 'RegionTwo', kind: 'public', url: 'http://two.example/v1/AUTH_a' },
];

function keystone(t: TestContext): Promise<StandInService> {
  return startKeystoneStandIn(t, { storage, issueToken: () => 'token-1' });
}

/** The bodies of the logins that were asked for. */
function asked(service: StandInService): unknown[] {
  return service.received.map(({ body }) => (JSON.parse(body) as { readonly auth: unknown }).auth);
}

function logInTo(options: Readonly<Record<string, unknown>>): Promise<{ value: Login; lifetime: number }> {
  return logIn(swiftOptions(options), client);
}

/** Matches the error of a refused login by its cause, which is what an administrator reads. */
function refused(reason: RegExp): (error: unknown) => boolean {
  return (error) => {
    assert.ok(error instanceof Error && error.cause instanceof Error);
    assert.equal(error.message, 'the registry cannot log in to its storage');
    assert.match(error.cause.message, reason);
    return true;
  };
}

test('the version of the login is the first of v3, v2 and v1 that the URL holds, unless it is said', () => {
  const version = (authurl: string, authversion = 0): number | undefined =>
    detectAuthVersion({ authurl, authversion });
  assert.equal(version('http://ceph:7480/auth/v1'), 1);
  assert.equal(version('http://ceph:7480/auth/v1.0'), 1);
  assert.equal(version('https://keystone:5000/v2.0'), 2);
  assert.equal(version('https://keystone:5000/v3'), 3);
  assert.equal(version('https://v2.example/auth/v1.0'), 2);
  assert.equal(version('https://keystone:5000/'), undefined);
  assert.equal(version('https://keystone:5000/', 3), 3);
  assert.equal(version('https://v2.example/auth/v1.0', 1), 1);
});

test('version 1 sends user and key in headers', async (t) => {
  const service = await standInService(t, () => ({
    status: 204,
    headers: {
      'X-Auth-Token': 'tk',
      'X-Storage-Url': 'http://store/swift/v1/',
      'X-Auth-Token-Expires': '86400',
    },
  }));
  const authurl = `${service.url}/auth/v1`;
  const login = await logInTo({ authurl, username: 'demo:swift', password: 'swiftsecret' });
  assert.deepEqual(login, { value: { token: 'tk', storageUrl: 'http://store/swift/v1' }, lifetime: 86_400 });
  const [request] = service.received;
  assert.equal(request?.path, '/auth/v1');
  assert.equal(request?.headers['x-auth-user'], 'demo:swift');
  assert.equal(request?.headers['x-auth-key'], 'swiftsecret');
});

test('a token of version 1 that tells no end is used until it is refused', async (t) => {
  const headers = { 'X-Auth-Token': 'tk', 'X-Storage-Url': 'http://store/swift/v1' };
  const service = await standInService(t, () => ({ headers }));
  assert.equal((await logInTo({ authurl: `${service.url}/auth/v1.0` })).lifetime, Number.POSITIVE_INFINITY);
});

test('version 2 asks for a token of the tenant', async (t) => {
  const service = await keystone(t);
  const authurl = `${service.url}/v2.0`;
  const login = await logInTo({ authurl, tenant: 'team' });
  assert.deepEqual(login, {
    value: { token: 'token-1', storageUrl: 'http://one.example/v1/AUTH_a' },
    lifetime: 3600,
  });
  await logInTo({ authurl: `${authurl}/`, tenantid: '77' });
  const passwordCredentials = { username: 'tester', password: 'secret' };
  assert.deepEqual(asked(service), [
    { passwordCredentials, tenantName: 'team' },
    { passwordCredentials, tenantId: '77' },
  ]);
});

test('version 2 tries an API key when the password is refused, and first when it is long', async (t) => {
  const service = await keystone(t);
  const authurl = `${service.url}/v2.0`;
  const forms = async (password: string): Promise<string[]> => {
    service.received.length = 0;
    await assert.rejects(logInTo({ authurl, password }), refused(/401: The request you have made requires/));
    return asked(service).map((auth) => Object.keys(Object(auth))[0] ?? '');
  };
  assert.deepEqual(await forms('short'), ['passwordCredentials', 'RAX-KSKEY:apiKeyCredentials']);
  assert.deepEqual(await forms('0'.repeat(32)), ['RAX-KSKEY:apiKeyCredentials', 'passwordCredentials']);
});

const scopes: readonly [string, Readonly<Record<string, string>>, object][] = [
  ['no project', {}, {}],
  ['a project by its identifier', { tenantid: '77', tenant: 'team' }, { scope: { project: { id: '77' } } }],
  [
    'a project by its name in the default domain',
    { tenant: 'team' },
    { scope: { project: { name: 'team', domain: { name: 'Default' } } } },
  ],
  [
    "a project in the user's domain",
    { tenant: 'team', domain: 'people' },
    { scope: { project: { name: 'team', domain: { name: 'people' } } } },
  ],
  [
    "a project in the user's domain by its identifier",
    { tenant: 'team', domainid: 'p1' },
    { scope: { project: { name: 'team', domain: { id: 'p1' } } } },
  ],
  [
    'a project in a domain of its own',
    { tenant: 'team', domain: 'people', tenantdomain: 'projects' },
    { scope: { project: { name: 'team', domain: { name: 'projects' } } } },
  ],
  [
    'a project in a domain of its own by its identifier',
    { tenant: 'team', domain: 'people', tenantdomainid: 'p2' },
    { scope: { project: { name: 'team', domain: { id: 'p2' } } } },
  ],
  ['a trust', { trustid: 't1', tenant: 'team' }, { scope: { 'OS-TRUST:trust': { id: 't1' } } }],
];
for (const [title, options, scope] of scopes) {
  test(`version 3 asks for a token of ${title}`, async (t) => {
    const service = await keystone(t);
    const login = await logInTo({ authurl: `${service.url}/v3`, ...options });
    assert.deepEqual(login, {
      value: { token: 'token-1', storageUrl: 'http://one.example/v1/AUTH_a' },
      lifetime: 3600,
    });
    const { domain, domainid } = options;
    const user = {
      name: 'tester',
      password: 'secret',
      domain: domainid === undefined ? { name: domain ?? 'Default' } : { id: domainid },
    };
    assert.deepEqual(asked(service), [{ identity: { methods: ['password'], password: { user } }, ...scope }]);
  });
}

for (const version of ['v2.0', 'v3']) {
  test(`the address of the storage is the one of the region and kind that are asked for, ${version}`, async (t) => {
    const authurl = `${(await keystone(t)).url}/${version}`;
    const address = async (options: object): Promise<string> =>
      (await logInTo({ authurl, ...options })).value.storageUrl;
    assert.equal(await address({ region: 'RegionTwo' }), 'http://two.example/v1/AUTH_a');
    assert.equal(await address({ endpointtype: 'internal' }), 'http://one.internal/v1/AUTH_a');
    await assert.rejects(
      address({ region: 'RegionTwo', endpointtype: 'admin' }),
      refused(/no admin address of object storage in region RegionTwo, but public in RegionOne, internal in/),
    );
  });
}

test('a catalog without object storage asks for the project', async (t) => {
  const { url } = await startKeystoneStandIn(t, { storage: [], issueToken: () => 'token-1' });
  await assert.rejects(logInTo({ authurl: `${url}/v3` }), refused(/is tenant or tenantid missing\?/));
});

test('a refusal tells where and with what, and not the password', async (t) => {
  const { url } = await keystone(t);
  await assert.rejects(logInTo({ authurl: `${url}/v3`, password: 'wrong-password' }), (error) => {
    refused(/^http:\/\/127\.0\.0\.1:\d+: the answer is 401: The request you have made/)(error);
    return !JSON.stringify(error, ['message', 'cause', 'stack']).includes('wrong-password');
  });
});

test('an answer of version 1 that is none is refused', async (t) => {
  const { url } = await standInService(t, () => ({ status: 200, body: '<html>' }));
  await assert.rejects(logInTo({ authurl: `${url}/v1` }), refused(/no X-Auth-Token and X-Storage-Url/));
});

import type { TestContext } from 'node:test';
import { standInService, type StandInService } from './stand-in-service.ts';

export interface KeystoneStandInOptions {
  /** Addresses of the storage. */
  readonly storage: readonly StorageEndpoint[];
  /** Makes a token that the storage takes. */
  readonly issueToken: () => string;
  /** Seconds that a token is good for. */
  readonly lifetime?: number;
}

export interface StorageEndpoint {
  readonly region: string;
  readonly kind: 'public' | 'internal' | 'admin';
  readonly url: string;
}

/** What the stand-in knows: the user `tester` with the password `secret`. */
const PASSWORD = 'secret';

/**
 * The exchange of a password for a token, as Keystone's API has it in its versions 2 (`/v2.0`) and 3 (`/v3`). It knows no
 * projects, domains or trusts: tests look at what was asked.
 */
export async function startKeystoneStandIn(
  t: TestContext,
  options: KeystoneStandInOptions,
): Promise<StandInService> {
  const issued = new Date(Date.UTC(2026, 0, 1));
  const expires = new Date(issued.getTime() + (options.lifetime ?? 3600) * 1000);
  return standInService(t, ({ path, body }) => {
    const { auth } = JSON.parse(body) as Asked; // the driver writes it; a missing member is a failing test
    if (path === '/v3/auth/tokens' && auth.identity?.password?.user.password === PASSWORD) {
      return {
        status: 201,
        headers: { 'X-Subject-Token': options.issueToken() },
        body: {
          token: { issued_at: issued, expires_at: expires, catalog: catalog(options, version3Endpoint) },
        },
      };
    }
    if (path === '/v2.0/tokens' && auth.passwordCredentials?.password === PASSWORD) {
      const token = { id: options.issueToken(), issued_at: issued, expires };
      return { body: { access: { token, serviceCatalog: catalog(options, version2Endpoint) } } };
    }
    const message = 'The request you have made requires authentication.';
    return { status: 401, body: { error: { code: 401, message, title: 'Unauthorized' } } };
  });
}

interface Asked {
  readonly auth: {
    readonly identity?: { readonly password?: { readonly user: { readonly password: string } } };
    readonly passwordCredentials?: { readonly password: string };
  };
}

function catalog({ storage }: KeystoneStandInOptions, form: (endpoint: StorageEndpoint) => object): object[] {
  const identity = { region: 'RegionOne', kind: 'public', url: 'http://identity.example' } as const;
  return [
    { type: 'identity', endpoints: [form(identity)] },
    { type: 'object-store', endpoints: storage.map(form) },
  ];
}

function version2Endpoint({ region, kind, url }: StorageEndpoint): object {
  return { region, [`${kind}URL`]: url };
}

function version3Endpoint({ region, kind, url }: StorageEndpoint): object {
  return { region, interface: kind, url };
}

import { RegistryError } from '../errors.ts';
import { parseBasicCredentials } from '../auth/basic-credentials.ts';
import type { Authenticator } from '../auth/htpasswd.ts';
import type { Exchange } from './exchange.ts';
import type { Route } from './route.ts';

/** One item of what a request needs, spelled as docker distribution spells it in the body of a 401. */
interface NeededAccess {
  readonly Type: 'registry' | 'repository';
  readonly Class: '';
  readonly Name: string;
  readonly Action: string;
}

/**
 * Lets a user through who has a right password. A user may do everything.
 * @throws RegistryError UNAUTHORIZED, alike for a wrong password and an unknown user
 */
export async function authorize(
  exchange: Exchange,
  route: Route,
  authenticator: Authenticator,
): Promise<void> {
  const credentials = parseBasicCredentials(exchange.request.headers.authorization);
  if (credentials !== undefined) {
    if (await verified(authenticator, credentials)) {
      exchange.user = credentials.user;
      return;
    }
  }
  // Node writes a header byte by character: these are the bytes of UTF-8, as Go sends them.
  const realm = Buffer.from(authenticator.realm.replaceAll(/["\\]/g, String.raw`\$&`)).toString('latin1');
  throw new RegistryError(
    { code: 'UNAUTHORIZED', detail: neededAccess(exchange, route) },
    { headers: { 'www-authenticate': `Basic realm="${realm}"` } },
  );
}

async function verified(
  authenticator: Authenticator,
  { user, password }: { readonly user: string; readonly password: string },
): Promise<boolean> {
  try {
    return await authenticator.verify(user, password);
  } catch (cause) {
    throw new RegistryError({ code: 'UNAVAILABLE', message: 'passwords cannot be checked now' }, { cause });
  }
}

function neededAccess(exchange: Exchange, route: Route): readonly NeededAccess[] | undefined {
  if (route.kind === 'base') return undefined;
  if (route.kind === 'catalog') return [{ Type: 'registry', Class: '', Name: 'catalog', Action: '*' }];
  const needed = actions(exchange.request.method ?? 'GET').map((action) =>
    repositoryAccess(route.repository, action),
  );
  const from = route.kind === 'uploads' ? exchange.query.get('from') : null;
  return from === null ? needed : [...needed, repositoryAccess(from, 'pull')];
}

function repositoryAccess(name: string, action: string): NeededAccess {
  return { Type: 'repository', Class: '', Name: name, Action: action };
}

function actions(method: string): readonly string[] {
  if (method === 'GET' || method === 'HEAD') return ['pull'];
  return method === 'DELETE' ? ['delete'] : ['pull', 'push'];
}

import { checkPatterns } from '../rules-file.ts';
import type { ConfigProblem, Findings } from './decode.ts';
import { mirrorSettings } from './mirror-settings.ts';
import type { Config } from './schema.ts';

/** A host and a port, of which a part of a repository's name can be made. */
const HOST = /^[a-z0-9]+(?:(?:\.|-+)[a-z0-9]+)*(?::\d{1,5})?$/;

/** Rules over `proxy`, `stevedore.mirror` and what a mirror needs of the other sections. */
export function checkMirror(config: Config, found: Findings): void {
  const isOurs = ({ path }: ConfigProblem): boolean => /^(?:proxy|stevedore\.mirror)\./.test(path);
  // What could not be decoded is told already.
  if (found.errors.some(isOurs)) return;
  const problems = [...proxyProblems(config), ...mirrorProblems(config)];
  found.errors.push(...problems);
  found.warnings.push(...idleProxy(config));
  if (problems.length > 0 || mirrorSettings(config) === undefined) return;
  found.errors.push(...serverProblems(config));
  found.warnings.push(...openProxy(config));
  found.notices.push(...withoutEffect(config));
}

function proxyProblems({ proxy, stevedore }: Config): readonly ConfigProblem[] {
  if (proxy === undefined) return [];
  const { remoteurl, exec, username, password } = proxy;
  const problems: ConfigProblem[] = [];
  if (remoteurl === undefined) return [];
  problems.push(...urlProblems('proxy.remoteurl', remoteurl));
  if (exec !== undefined && username !== undefined) {
    problems.push({ path: 'proxy', message: 'has exec and username: one of them gives the credentials' });
  }
  if (password !== undefined && username === undefined) {
    problems.push({ path: 'proxy.password', message: 'needs username' });
  }
  if (stevedore.mirror.upstreams.length > 0) {
    const message = 'is one upstream, and stevedore.mirror.upstreams has others: add it to them instead';
    problems.push({ path: 'proxy', message });
  }
  return problems;
}

function mirrorProblems({ proxy, stevedore: { mirror } }: Config): readonly ConfigProblem[] {
  const { cache, defaultupstream, upstreams } = mirror;
  const path = 'stevedore.mirror';
  const problems = upstreams.flatMap((upstream, index) =>
    upstreamProblems(`${path}.upstreams.${index}`, upstream),
  );
  if (cache.lowwatermark >= cache.highwatermark) {
    problems.push({ path: `${path}.cache.lowwatermark`, message: 'must be below highwatermark' });
  }
  if (problems.length > 0) return problems;
  const settings = mirrorSettings({ proxy, stevedore: { mirror } });
  const taken = new Map<string, number>();
  for (const [index, { names }] of settings?.upstreams.entries() ?? []) {
    for (const name of names) {
      const other = taken.get(name);
      if (other !== undefined) {
        const message = `has the name ${name}, which upstreams.${other} has as well`;
        problems.push({ path: `${path}.upstreams.${index}`, message });
      }
      taken.set(name, index);
    }
  }
  if (defaultupstream !== undefined && settings?.defaultUpstream === undefined) {
    problems.push({ path: `${path}.defaultupstream`, message: 'is the host of none of the upstreams' });
  }
  return problems;
}

type UpstreamOptions = Config['stevedore']['mirror']['upstreams'][number];

function upstreamProblems(path: string, options: UpstreamOptions): readonly ConfigProblem[] {
  const { aliases, allowedrepositories, credentials, host, password, url, username } = options;
  const notHosts = [
    ...(HOST.test(host) ? [] : [`${path}.host`]),
    ...aliases.flatMap((alias, index) => (HOST.test(alias) ? [] : [`${path}.aliases.${index}`])),
  ];
  return [
    ...notHosts.map((at) => ({
      path: at,
      message: 'must be a host, as in docker.io or registry.example.com:5000',
    })),
    ...(url === undefined ? [] : urlProblems(`${path}.url`, url)),
    ...(credentials !== undefined && (username !== undefined || password !== undefined)
      ? [{ path, message: 'has credentials and username or password: one of them is enough' }]
      : []),
    ...(password !== undefined && username === undefined
      ? [{ path: `${path}.password`, message: 'needs username' }]
      : []),
    ...checkPatterns(`${path}.allowedrepositories`, allowedrepositories, /^[a-z0-9._\-/*]+$/),
  ];
}

function urlProblems(path: string, text: string): readonly ConfigProblem[] {
  const url = new URL(text);
  if (url.username !== '' || url.password !== '')
    return [{ path, message: 'must not hold credentials: they have options of their own' }];
  return url.pathname === '/' && url.search === '' && url.hash === ''
    ? []
    : [{ path, message: 'must be scheme, host and port alone: the API of a registry is at /v2/' }];
}

/** What a mirror needs of the rest of the configuration. */
function serverProblems(config: Config): readonly ConfigProblem[] {
  const { storage, stevedore, middleware } = config;
  const problems: ConfigProblem[] = [];
  if (storage.filesystem === undefined) {
    const message = 'must be filesystem for a mirror: its cache is read while it is filled';
    problems.push({ path: 'storage', message });
  }
  if (stevedore.workers > 1) {
    const message = 'must be 1 for a mirror: one process knows what is being fetched and read';
    problems.push({ path: 'stevedore.workers', message });
  }
  if (middleware.storage.some(({ disabled }) => !disabled)) {
    const message = 'has no place in a mirror, which sends what it keeps itself';
    problems.push({ path: 'middleware.storage', message });
  }
  if (saysWhoAsks(config)) return problems;
  for (const [index, { allowedrepositories, ...upstream }] of stevedore.mirror.upstreams.entries()) {
    const isKnown = upstream.username !== undefined || upstream.credentials !== undefined;
    if (!isKnown || allowedrepositories.length > 0) continue;
    problems.push({
      path: `stevedore.mirror.upstreams.${index}.allowedrepositories`,
      message: `is required: with credentials everybody could pull what ${upstream.username ?? 'their user'} may. Name what may be pulled (["**"] for all), or let clients say who they are (auth, http.tls.clientcas)`,
    });
  }
  return problems;
}

function idleProxy({ proxy }: Config): readonly ConfigProblem[] {
  if (proxy === undefined || proxy.remoteurl !== undefined) return [];
  const isMeant = proxy.username ?? proxy.password ?? proxy.exec;
  return isMeant === undefined ? [] : [{ path: 'proxy', message: 'has no effect without remoteurl' }];
}

/** docker distribution's own way to leave a registry open, which must go on working. */
function openProxy(config: Config): readonly ConfigProblem[] {
  const { proxy } = config;
  if (saysWhoAsks(config) || (proxy?.username === undefined && proxy?.exec === undefined)) return [];
  const message =
    'has credentials, so everybody who reaches this server may pull what they may: configure auth or http.tls.clientcas';
  return [{ path: 'proxy', message }];
}

/** Whether clients have to say who they are. */
function saysWhoAsks({ auth, http: { tls } }: Config): boolean {
  const { htpasswd, token } = auth;
  const certificates =
    (tls?.clientcas.length ?? 0) > 0 && tls?.clientauth === 'require-and-verify-client-cert';
  return htpasswd !== undefined || token !== undefined || certificates;
}

function withoutEffect({ storage }: Config): readonly ConfigProblem[] {
  const notices: ConfigProblem[] = [];
  const none = (path: string, reason: string): void => {
    notices.push({ path, message: `has no effect in a mirror: ${reason}` });
  };
  if (storage.cache.blobdescriptor !== undefined)
    none('storage.cache.blobdescriptor', 'it knows the sizes of what it keeps');
  if (storage.maintenance.readonly.enabled)
    none('storage.maintenance.readonly', 'it takes no pushes as it is');
  return notices;
}

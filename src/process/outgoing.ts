import { createSecureContext, getCACertificates, type SecureContext } from 'node:tls';
import { buildConnector, EnvHttpProxyAgent, type Dispatcher } from 'undici';

export interface OutgoingOptions {
  /** Where HTTP_PROXY, HTTPS_PROXY and NO_PROXY are looked up, in either case. */
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** Further certificates to trust, PEM. */
  readonly authorities?: readonly string[];
  /** Takes any certificate. */
  readonly skipVerify?: boolean;
  /** How long connecting may take, how long the headers of an answer, and each piece of its body; milliseconds. */
  readonly timeouts?: { readonly connect: number; readonly headers: number; readonly body: number };
}

/**
 * Connections to other servers as Go programs make them: through the proxies that the environment names, trusting the
 * certificates of the system, of `SSL_CERT_FILE` and `SSL_CERT_DIR`, and Node's own.
 */
export function createOutgoing(options: OutgoingOptions): Dispatcher {
  const { environment, skipVerify = false, timeouts } = options;
  const variable = (name: string): string => environment[name] ?? environment[name.toUpperCase()] ?? '';
  const proxies = { httpProxy: variable('http_proxy'), httpsProxy: variable('https_proxy') };
  const times = timeouts && { timeout: timeouts.connect };
  // Reading the system's certificates takes 0.1 s, so not before one is needed.
  let context: SecureContext | undefined;
  const secure = (): object => ({
    secureContext: (context ??= createSecureContext({ ca: trusted(options) })),
    rejectUnauthorized: !skipVerify,
    ...times,
  });
  const plain = buildConnector({ ...times });
  let encrypted: buildConnector.connector | undefined;
  const proxied = proxies.httpProxy !== '' || proxies.httpsProxy !== '';
  return new EnvHttpProxyAgent({
    ...proxies,
    noProxy: variable('no_proxy'),
    ...(timeouts && { headersTimeout: timeouts.headers, bodyTimeout: timeouts.body }),
    connect: (target, done) => {
      if (target.protocol !== 'https:') return plain(target, done);
      encrypted ??= buildConnector(secure());
      return encrypted(target, done);
    },
    ...(proxied && { requestTls: secure() }),
  });
}

function trusted({ authorities = [] }: OutgoingOptions): string[] {
  return [...new Set([...getCACertificates('default'), ...getCACertificates('system'), ...authorities])];
}

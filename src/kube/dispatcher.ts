import { Agent, ProxyAgent, type Dispatcher } from 'undici';

/** How to reach an API server. */
export interface Connection {
  readonly proxy: string | undefined;
  readonly tls: Readonly<Record<string, unknown>>;
}

/**
 * HTTP/1.1 with a connection for each request under way: a watch then never shares the fate, or the flow control
 * window, of another. A silent peer is found by TCP keep-alive within a minute.
 */
export function createDispatcher({ proxy, tls }: Connection): Dispatcher {
  const connect = { keepAlive: true, keepAliveInitialDelay: 30_000, ...tls };
  const common = { allowH2: false, keepAliveTimeout: 60_000 };
  if (proxy === undefined) return new Agent({ ...common, connect });
  if (proxy.startsWith('socks')) {
    throw new Error('the kubeconfig names a SOCKS proxy, which is not supported: use an HTTP proxy');
  }
  return new ProxyAgent({ ...common, uri: proxy, requestTls: connect });
}

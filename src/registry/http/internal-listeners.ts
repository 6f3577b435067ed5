import type { Config } from '../../contract/config/config.ts';
import type { Logger } from '../../process/logger.ts';
import { addressOf, listen } from './listen.ts';
import { createPageServer, type Pages } from './page-server.ts';
import { createMetricsPage, debugPages, statusPages, type ServerFacts } from './status-pages.ts';

export interface InternalListeners extends AsyncDisposable {
  readonly statusAddress: string | undefined;
  readonly debugAddress: string | undefined;
}

/** Starts the listeners for status and debugging that the configuration has. @throws ListenError */
export async function startInternalListeners(
  config: Config,
  facts: ServerFacts,
  deps: { readonly log: Logger; readonly draining: () => boolean },
): Promise<InternalListeners> {
  await using started = new AsyncDisposableStack();
  const start = async (
    option: string,
    address: string | undefined,
    pages: Pages,
  ): Promise<string | undefined> => {
    if (address === undefined) return undefined;
    const server = createPageServer(pages, deps.log);
    await listen(server, option, address);
    started.defer(async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    });
    return addressOf(server);
  };
  const metricsPage = createMetricsPage(facts);
  const statusAddress = await start(
    'stevedore.status.addr',
    config.stevedore.status?.addr,
    statusPages({ facts, metricsPage, draining: deps.draining }),
  );
  const { prometheus, addr } = config.http.debug;
  const debugAddress = await start('http.debug.addr', addr, {
    ...debugPages(facts),
    ...(prometheus.enabled && { [prometheus.path]: metricsPage }),
  });
  const parts = started.move();
  return { statusAddress, debugAddress, [Symbol.asyncDispose]: () => parts.disposeAsync() };
}

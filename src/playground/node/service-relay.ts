import { createServer, connect, type Server, type Socket } from 'node:net';
import type { Cache } from '../../kube/cache.ts';
import type { NamespacedName } from '../../kube/object.ts';
import { done, waiting, type Outcome } from '../../kube/outcome.ts';
import type { Pod, Service } from '../../kube/resources.ts';
import type { Logger } from '../../process/logger.ts';
import { portNumber } from './probe.ts';

export type ServicePort = NonNullable<NonNullable<Service['spec']>['ports']>[number];

/** Another program may have the port, and give it back. */
const RETRY_MS = 10_000;

interface Listener {
  readonly host: string;
  readonly port: number;
  readonly servicePort: ServicePort;
}

interface RelayOptions {
  readonly services: Cache<Service>;
  readonly pods: Pick<Cache<Pod>, 'list'>;
  readonly log: Logger;
}

/**
 * What kube-proxy is elsewhere: listens on the clusterIP of each Service, and on 127.0.0.1 for node ports, and passes
 * connections on to the pods that are ready at that moment, one after another.
 */
export class ServiceRelay {
  readonly #options: RelayOptions;
  /** By `namespace/name` of the Service, and what is listened on for it. */
  readonly #open = new Map<string, Map<string, Server>>();
  readonly #sockets = new Set<Socket>();
  #turn = 0;

  constructor(options: RelayOptions) {
    this.#options = options;
  }

  /** Opens and closes what one Service asks for. */
  async reconcile(key: NamespacedName): Promise<Outcome> {
    const service = `${key.namespace}/${key.name}`;
    const open = this.#open.get(service) ?? new Map<string, Server>();
    const listeners = listenersOf(this.#options.services.get(key));
    const wanted = new Map(listeners.map((listener) => [JSON.stringify(listener), listener]));
    for (const [id, server] of open) {
      if (wanted.has(id)) continue;
      open.delete(id);
      await closeServer(server);
    }
    for (const [id, listener] of wanted) {
      if (open.has(id)) continue;
      try {
        open.set(id, await this.#listen(key, listener));
      } catch (error) {
        const { host, port } = listener;
        this.#options.log.warn({ error, service, host, port }, 'service cannot be reached at this address');
      }
    }
    this.#open.set(service, open);
    return open.size < wanted.size ? waiting(RETRY_MS, 'ListenFailed') : done;
  }

  async close(): Promise<void> {
    const servers = [...this.#open.values()].flatMap((open) => [...open.values()]);
    this.#open.clear();
    for (const socket of this.#sockets) socket.destroy();
    await Promise.all(servers.map(closeServer));
  }

  async #listen(key: NamespacedName, { host, port, servicePort }: Listener): Promise<Server> {
    const server = createServer({ allowHalfOpen: true, noDelay: true }, (client) =>
      this.#relay(client, key, servicePort),
    );
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    server.once('error', reject);
    server.listen({ host, port }, resolve);
    await promise;
    return server;
  }

  #relay(client: Socket, key: NamespacedName, servicePort: ServicePort): void {
    const labels = this.#options.services.get(key)?.spec?.selector;
    const pods = labels === undefined ? [] : this.#options.pods.list({ namespace: key.namespace, labels });
    const targets = pods.filter(isReady).flatMap((pod) => {
      const port = targetPort(pod, servicePort);
      const host = pod.status?.podIP;
      return port === undefined || host === undefined ? [] : [{ host, port }];
    });
    const target = targets[this.#turn++ % Math.max(1, targets.length)];
    if (target === undefined) {
      client.resetAndDestroy();
      return;
    }
    const server = connect({ ...target, allowHalfOpen: true, noDelay: true });
    for (const [socket, other] of [
      [client, server],
      [server, client],
    ] as const) {
      this.#sockets.add(socket);
      socket.on('error', () => other.destroy());
      socket.on('close', () => {
        this.#sockets.delete(socket);
        if (!other.writableEnded) other.destroy();
      });
      socket.pipe(other);
    }
  }
}

export function isReady({ metadata, status }: Pod): boolean {
  return (
    metadata.deletionTimestamp === undefined &&
    status?.conditions?.some(({ type, status }) => type === 'Ready' && status === 'True') === true
  );
}

/** The port of a pod that a port of a Service means; undefined where the pod has none of that name. */
export function targetPort(pod: Pod, { targetPort, port }: ServicePort): number | undefined {
  for (const container of pod.spec?.containers ?? []) {
    const found = portNumber(targetPort ?? port, container);
    if (found !== undefined) return found;
  }
  return undefined;
}

function listenersOf(service: Service | undefined): readonly Listener[] {
  const { clusterIP = 'None', ports = [], selector, type } = service?.spec ?? {};
  if (selector === undefined || type === 'ExternalName') return [];
  return ports
    .filter(({ protocol = 'TCP' }) => protocol === 'TCP')
    .flatMap((servicePort) => [
      ...(clusterIP === 'None' ? [] : [{ host: clusterIP, port: servicePort.port, servicePort }]),
      ...(servicePort.nodePort === undefined
        ? []
        : [{ host: '127.0.0.1', port: servicePort.nodePort, servicePort }]),
    ]);
}

function closeServer(server: Server): Promise<void> {
  return new Promise((resolve) => server.close(() => resolve()));
}

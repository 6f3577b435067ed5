import { join } from 'node:path';
import { TEAM_NAMESPACE, type Cluster } from './cluster.ts';
import { craneImages, type ImageClient } from './image-client.ts';
import type { RegistryPlace } from './registry-client.ts';

/** A cluster where the operator runs, as far as the main job needs one. Objects are in the team's namespace. */
export interface Stage {
  /** Holds a folder for each volume, by its name. */
  readonly volumes: string;
  /** A port of the node that nobody has. The node is this machine. */
  readonly nodePort: number;
  /** Makes an object or changes it. Throws with the API server's message when it is refused. */
  apply(object: Manifest): Promise<void>;
  /** JSON merge patch. `resource` is `kind/name`. */
  patch(resource: string, change: object): Promise<void>;
  /** Waits until the condition Ready is True. */
  ready(resource: string): Promise<void>;
  /** One field as text, by JSONPath without braces (`.status.url`); undefined when there is no such object or field. */
  field(resource: string, path: string): Promise<string | undefined>;
  /** The uid of each pod that serves a registry, and how often its container was started anew: another value is a restart. */
  servers(): Promise<string>;
  /** `folder` is for what the client keeps. */
  images(place: RegistryPlace, repository: string, folder: string): ImageClient;
}

export interface Manifest {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string };
  readonly [field: string]: unknown;
}

/** A real cluster, by kubectl and crane. */
export function kubernetesStage(cluster: Cluster): Stage {
  const namespace = `--namespace=${TEAM_NAMESPACE}`;
  return {
    volumes: join(cluster.state, 'volumes'),
    nodePort: 30500,
    async apply(object) {
      await cluster.apply(object);
    },
    async patch(resource, change) {
      await cluster.kubectl([
        'patch',
        resource,
        namespace,
        '--type=merge',
        `--patch=${JSON.stringify(change)}`,
      ]);
    },
    async ready(resource) {
      await cluster.kubectl(['wait', resource, '--for=condition=Ready', namespace, '--timeout=60s']);
    },
    field: (resource, path) => cluster.field(resource, path),
    servers: () =>
      cluster.kubectl([
        'get',
        'pods',
        namespace,
        '--selector=app.kubernetes.io/component=registry',
        '--output=jsonpath={range .items[*]}{.metadata.uid} {.status.containerStatuses[0].restartCount}{"\\n"}{end}',
      ]),
    images: craneImages,
  };
}

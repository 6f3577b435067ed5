import { stringify } from 'smol-toml';
import type { MirroredHost } from '../contract/node-plan.ts';

/** What `hosts.toml` of a registry says. https://github.com/containerd/containerd/blob/main/docs/hosts.md */
export interface HostsFile {
  /** Where the registry is; what the mirror does not have comes from there. */
  readonly server: string;
  /** The file beside it by which certificates of `server` are verified. */
  readonly serverCa: string | undefined;
  readonly mirror: { readonly host: MirroredHost; readonly ca: string | undefined } | undefined;
}

/**
 * How long a mirror that has vanished may keep each request; containerd's own default is 30 s. Read by 2.0.11, 2.1 and
 * later, and ignored by 1.x.
 */
const DIAL_TIMEOUT = '1s';

export function hostsFileText({ server, serverCa, mirror }: HostsFile): string {
  return stringify({
    server,
    // Of a root-level ca no mirror takes notice: each has its own.
    ...(serverCa !== undefined && { ca: serverCa }),
    ...(mirror !== undefined && {
      host: {
        [mirror.host.endpoint]: {
          capabilities: [...mirror.host.capabilities],
          ...(mirror.ca !== undefined && { ca: mirror.ca }),
          dial_timeout: DIAL_TIMEOUT,
          ...(mirror.host.header !== undefined && { header: { ...mirror.host.header } }),
        },
      },
    }),
  });
}

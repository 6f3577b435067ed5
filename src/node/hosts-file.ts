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
    // Also when it is empty: without this table containerd 1.x takes the file for broken and ignores it.
    host: mirror === undefined ? {} : { [mirror.host.endpoint]: hostOf(mirror) },
  });
}

function hostOf({ host, ca }: NonNullable<HostsFile['mirror']>): object {
  return {
    capabilities: [...host.capabilities],
    ...(ca !== undefined && { ca }),
    dial_timeout: DIAL_TIMEOUT,
    ...(host.header !== undefined && { header: { ...host.header } }),
  };
}

import type { StatusDocument } from '../contract/status-document.ts';
import type { Stalled, Waiting } from '../kube/outcome.ts';
import type { Deployment, PersistentVolumeClaim, Pod } from '../kube/resources.ts';
import type { NodeFacts } from './node-facts.ts';
import type { Reason } from './reasons.ts';
import type { UpstreamProblem } from './upstream-steps.ts';
import type { ShareProblem } from './share-steps.ts';
import type { UserProblem } from './password.ts';

/** What one look at a resource's world found. Conditions and status follow from it, and from nothing else. */
export interface RegistryFacts {
  /** The step that could not go on; the ones after it did not run. */
  readonly halt?: Waiting | Stalled;
  readonly certificate?: CertificateFacts;
  /** The htpasswd file. */
  readonly users?: FileFacts;
  /** The access rules. */
  readonly access?: FileFacts;
  /** Why the keys by which clients are known stay as they were. */
  readonly keysProblem?: UserProblem;
  /** Of a mirror: what is not as it should be of what it needs for its upstreams. */
  readonly upstreamProblems?: readonly UpstreamProblem[];
  /** Undefined: nothing is to be on nodes, and nothing is left there. */
  readonly nodes?: NodeFacts;
  /** What is not in other namespaces as it should be; undefined: nothing is to be there. */
  readonly shares?: readonly ShareProblem[] | undefined;
  readonly claim?: PersistentVolumeClaim;
  /** Why the existing claim may not be used. */
  readonly claimRefusal?: string;
  /** SHA-256 of the configuration that the pod must serve, in hex. */
  readonly configHash?: string;
  readonly deployment?: Deployment;
  readonly pods: readonly Pod[];
  /** What the servers say of themselves, the newest first; without those that could not be asked. */
  readonly servers: readonly StatusDocument[];
  /** A garbage collection of this Registry goes on. */
  readonly collecting: boolean;
}

/** The server certificate that was issued last. Times are milliseconds since the epoch. */
export interface CertificateFacts {
  /** Lower-case hex. */
  readonly serial: string;
  readonly notAfter: number;
  /** Undefined: somebody else renews it. */
  readonly renewalTime?: number;
  /** When time alone brings the next step of the authority's rotation. */
  readonly authorityChange?: number;
  /** What is wrong with it, or with what was to take its place. */
  readonly problem?: { readonly reason: Reason; readonly message: string };
}

interface FileFacts {
  /** SHA-256 of the file, in hex. */
  readonly hash: string;
  readonly problems: readonly UserProblem[];
}

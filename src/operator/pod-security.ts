/**
 * What makes a pod satisfy the `restricted` pod security standard, for the registry's pods and the collector's alike:
 * both write to the same volume and must do so as the same user.
 *
 * @see https://kubernetes.io/docs/concepts/security/pod-security-standards/
 */

/** The user and group of the image. */
const USER = 65532;

export const podSecurity = {
  automountServiceAccountToken: false,
  enableServiceLinks: false,
  securityContext: {
    runAsNonRoot: true,
    runAsUser: USER,
    runAsGroup: USER,
    fsGroup: USER,
    // A volume with millions of files is not walked at each start.
    fsGroupChangePolicy: 'OnRootMismatch',
    seccompProfile: { type: 'RuntimeDefault' },
  },
} as const;

export const containerSecurity = {
  allowPrivilegeEscalation: false,
  readOnlyRootFilesystem: true,
  capabilities: { drop: ['ALL'] },
} as const;

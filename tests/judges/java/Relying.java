// Java's own relying party (SUN, PKIX), which asks the responder that the certificate names and
// falls back to nothing. One question per line, with tabs between: "nonce" or "plain", then the
// files of trust anchor and certificate, DER. One answer per line: "good", "revoked" or "no <why>".

import java.io.BufferedReader;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.cert.CertPathValidator;
import java.security.cert.CertPathValidatorException;
import java.security.cert.CertPathValidatorException.BasicReason;
import java.security.cert.CertificateFactory;
import java.security.cert.PKIXParameters;
import java.security.cert.PKIXRevocationChecker;
import java.security.cert.TrustAnchor;
import java.security.cert.X509Certificate;
import java.util.EnumSet;
import java.util.List;
import java.util.Set;

public class Relying {
    private static CertificateFactory factory;

    public static void main(String[] none) throws Exception {
        factory = CertificateFactory.getInstance("X.509");
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in));
        for (String line = in.readLine(); line != null; line = in.readLine()) {
            System.out.println(answer(line.split("\t")));
            System.out.flush();
        }
    }

    private static String answer(String[] question) throws Exception {
        String nonce = Boolean.toString(question[0].equals("nonce"));
        System.setProperty("jdk.security.certpath.ocspNonce", nonce);
        X509Certificate anchor = read(question[1]);
        List<X509Certificate> path = List.of(read(question[2]));
        CertPathValidator validator = CertPathValidator.getInstance("PKIX");
        PKIXRevocationChecker checker = (PKIXRevocationChecker) validator.getRevocationChecker();
        checker.setOptions(EnumSet.of(PKIXRevocationChecker.Option.NO_FALLBACK));
        PKIXParameters parameters = new PKIXParameters(Set.of(new TrustAnchor(anchor, null)));
        parameters.addCertPathChecker(checker);
        try {
            validator.validate(factory.generateCertPath(path), parameters);
        } catch (CertPathValidatorException refusal) {
            if (refusal.getReason() == BasicReason.REVOKED) {
                return "revoked";
            }
            return ("no " + refusal.getReason() + " " + refusal).replaceAll("\\s+", " ");
        }
        return "good";
    }

    private static X509Certificate read(String file) throws Exception {
        try (InputStream in = Files.newInputStream(Path.of(file))) {
            return (X509Certificate) factory.generateCertificate(in);
        }
    }
}

"""Parts of ITU-R BS.1387 (PEAQ), basic version, that noise-to-mask ratio and the 2f-model need.

    ear         frames -> magnitude spectra behind the middle ear, and which frames count
    bands       the 109 bands, a quarter of a Bark wide, and what is constant in each
    excitation  spectra -> excitation patterns: internal noise, spreading over bands, smearing
    noise_to_mask, modulation, distortion   one model output variable each
    metric      a function of two sounds as a contestant

Not conformant PEAQ: no certified implementation, no conformance recordings and not the text of [BS]
itself were at hand. Every constant and formula was read against two programs written from it,
PQevalAudio [Kabal] and [GstPEAQ]. [GstPEAQ] cites the sections 2.1.5, 2.1.7, 2.1.8, 3.2 and 4.2, as
here; the numbers of the other sections stand unverified. On 22 rated pairs the three variables are
those of a public numpy port of PQevalAudio, run once beside this code, to 7e-5; with the misprints
of [BS]'s table (`bands`) they differ by up to 0.09 dB (NMR), 0.22 (AvgModDiff1) and 0.002 (ADB).
Where the text leaves a choice we do as Kabal's program does, whose variables the 2f-model is used
with. Level and pattern adaptation and loudness are not here: none of the three variables uses them.

Source: Rec. ITU-R BS.1387-1 (2001), Annex 2, cited as [BS]; P. Kabal, An examination and
interpretation of ITU-R BS.1387, McGill University (2002), cited as [Kabal]; M. Holters and
U. Zoelzer, GstPEAQ, DAFx 2015 (HSU-ANT/gstpeaq), cited as [GstPEAQ].
"""
